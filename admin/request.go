package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"edgeloop/admin/api"
)

// object is a JSON object by member name.
type object map[string]json.RawMessage

// readObject reads the body as one JSON object. An empty body is an empty
// object; a member that appears twice is refused, because two readers would
// take a different one.
func (s *Server) readObject(w http.ResponseWriter, r *http.Request) (object, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.cfg.MaxBody))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			return nil, err
		}
		return nil, kindBadRequest.problem("the body ended early: " + err.Error())
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	if err := r.Context().Err(); err != nil { // the end of the body came when its token was not valid any more
		return nil, err
	}
	obj := object{}
	if len(body) == 0 {
		return obj, nil
	}
	if !json.Valid(body) {
		return nil, kindBadRequest.problem("the body is not one JSON value")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, kindBadRequest.problem("the body is not a JSON object")
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, kindBadRequest.problem(err.Error())
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, kindBadRequest.problem(err.Error())
		}
		key, _ := name.(string) // always one, in a valid object
		if _, twice := obj[key]; twice {
			return nil, malformed(key, "appears twice", nil)
		}
		obj[key] = value
	}
	return obj, nil
}

// malformed refuses a request for what it is made of (400); a value that is not
// allowed is an api.FieldError (422).
func malformed(field, reason string, allowed []string) error {
	p := kindBadRequest.problem("field " + field + " " + reason)
	p.Field, p.Allowed = field, allowed
	return p
}

// into decodes each member into the target of its name and refuses members
// that have none. Names are compared exactly, other than encoding/json does.
func (o object) into(targets map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(o)) {
		target, ok := targets[name]
		if !ok {
			return malformed(name, "is not known here", slices.Sorted(maps.Keys(targets)))
		}
		if err := json.Unmarshal(o[name], target); err != nil {
			return &api.FieldError{Field: name, Reason: "cannot be read: " + plainJSONError(err)}
		}
	}
	return nil
}

// plainJSONError says a decoding error without the names of Go types.
func plainJSONError(err error) string {
	var wrong *json.UnmarshalTypeError
	if !errors.As(err, &wrong) {
		return err.Error()
	}
	want := "another type"
	switch wrong.Type.Kind().String() {
	case "string":
		want = "a string"
	case "bool":
		want = "true or false"
	case "int", "int64", "uint16":
		want = "a whole number in range"
	}
	return "it is a " + wrong.Value + ", not " + want
}

// readQuery parses the query strictly: a parameter that is not known, or that
// appears twice, is refused, so that a misspelt filter never selects everything.
func readQuery(r *http.Request, known ...string) (url.Values, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, kindBadRequest.problem("the query cannot be read: " + err.Error())
	}
	for _, name := range slices.Sorted(maps.Keys(q)) {
		if !slices.Contains(known, name) {
			return nil, malformed(name, "is not known here", known)
		}
		if len(q[name]) > 1 {
			return nil, malformed(name, "appears twice", nil)
		}
	}
	return q, nil
}

func intParam(q url.Values, name string, missing, least, most int) (int, error) {
	if !q.Has(name) {
		return missing, nil
	}
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < least || n > most {
		return 0, &api.FieldError{Field: name, Reason: "is not a whole number in range", Min: least, Max: most}
	}
	return n, nil
}

// boolParam gives nil for a parameter that is missing.
func boolParam(q url.Values, name string) (*bool, error) {
	var v bool
	switch {
	case !q.Has(name):
		return nil, nil
	case q.Get(name) == "true":
		v = true
	case q.Get(name) != "false":
		return nil, &api.FieldError{Field: name, Reason: "is neither true nor false", Allowed: []string{"true", "false"}}
	}
	return &v, nil
}

func durationParam(q url.Values, name string, most time.Duration) (time.Duration, error) {
	if !q.Has(name) {
		return 0, nil
	}
	d, err := time.ParseDuration(q.Get(name))
	if err != nil || d < 0 || d > most {
		return 0, &api.FieldError{
			Field: name, Reason: `is not a duration in range, such as "5s"`, Min: "0s", Max: most.String(),
		}
	}
	return d, nil
}

// pathDevice gives the names in the path, checked, for who may ask for them.
func (s *Server) pathDevice(r *http.Request) (tenant, device string, err error) {
	tenant, device = r.PathValue("tenant"), r.PathValue("device")
	if err := s.checkName("tenant", tenant); err != nil {
		return "", "", err
	}
	if err := s.checkName("device", device); err != nil {
		return "", "", err
	}
	tenant, err = tenantOf(r, tenant)
	return tenant, device, err
}

func (s *Server) checkName(kind, name string) error {
	if err := s.cfg.CheckName(kind, name); err != nil {
		return &api.FieldError{Field: kind, Reason: "is not a name: " + err.Error()}
	}
	return nil
}

// splitList splits "GET, HEAD".
func splitList(s string) []string {
	parts := strings.Split(s, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return parts
}
