package admin

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin/access"
	"edgeloop/admin/api"
)

func (s *Server) healthz(w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, http.StatusOK, api.Health{Status: "ok"})
}

// readyz answers 503 with the reasons, not with a problem document: it is an
// answer to the question, not a refusal of the request.
//
// The details are for who may read them at /v1/node: an error of the log names paths
// and addresses.
func (s *Server) readyz(w http.ResponseWriter, r *http.Request) error {
	reasons, warnings := s.node.Node.Ready(), s.node.Node.Warnings()
	status := http.StatusOK
	if len(reasons) > 0 {
		status = http.StatusServiceUnavailable
	}
	if h, refused := s.identify(r); refused != nil || h.Tenant != "" || !h.Scopes.Has(access.Read) {
		reasons, warnings = codesOf(reasons), codesOf(warnings)
	}
	return writeJSON(w, status, api.Readiness{Ready: len(reasons) == 0, Reasons: reasons, Warnings: warnings})
}

// codesOf are the reasons without what only some may know.
func codesOf(reasons []api.Reason) []api.Reason {
	codes := slices.Clone(reasons)
	for i := range codes {
		codes[i].Detail = "GET /v1/node says more, to who shows a token"
	}
	return codes
}

func (s *Server) getNode(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, s.snapshot())
}

func (s *Server) snapshot() api.Node {
	n := s.node.Node.Status()
	n.Uptime = api.Duration(time.Since(n.Started).Truncate(time.Millisecond))
	n.NotReady, n.Warnings = s.node.Node.Ready(), s.node.Node.Warnings()
	n.Limits = make(map[string]any)
	for _, l := range s.node.Limits.Limits() {
		n.Limits[l.Name] = l.Kind.JSONValue(l.Value)
	}
	return n
}

// maxDrainWindow keeps a slip of the unit from draining for a week.
const maxDrainWindow = time.Hour

func (s *Server) drain(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	obj, err := s.readObject(w, r)
	if err != nil {
		return err
	}
	var req api.DrainRequest
	if err := obj.into(map[string]any{"window": &req.Window}); err != nil {
		return err
	}
	if window := time.Duration(req.Window); window < 0 || window > maxDrainWindow {
		return &api.FieldError{Field: "window", Reason: "is out of range", Min: "0s", Max: maxDrainWindow.String()}
	}
	if err := s.node.Node.Drain(time.Duration(req.Window)); err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, s.snapshot())
}

func (s *Server) reload(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	obj, err := s.readObject(w, r)
	if err != nil {
		return err
	}
	if err := obj.into(nil); err != nil {
		return err
	}
	out, err := s.node.Node.Reload(r.Context())
	if err != nil {
		return err
	}
	note(r, zap.Strings("changed", out.Changed))
	return writeJSON(w, http.StatusOK, out)
}

func (s *Server) getLimits(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, api.Limits{Limits: s.node.Limits.Limits()})
}

func (s *Server) patchLimits(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	obj, err := s.readObject(w, r)
	if err != nil {
		return err
	}
	values, err := checkLimits(s.node.Limits.Limits(), obj)
	if err != nil {
		return err
	}
	note(r, zap.Any("limits", values))
	if err := s.node.Limits.SetLimits(r.Context(), values); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, api.Limits{Limits: s.node.Limits.Limits()})
}

// checkLimits turns members into values, each known, changeable and in range.
func checkLimits(limits []api.Limit, obj object) (map[string]*int64, error) {
	known := make(map[string]api.Limit)
	for _, l := range limits {
		if l.Changeable {
			known[l.Name] = l
		}
	}
	names := slices.Sorted(maps.Keys(known))
	if len(obj) == 0 {
		return nil, &api.FieldError{Field: "body", Reason: "names no limit", Allowed: names}
	}
	values := make(map[string]*int64)
	for _, name := range slices.Sorted(maps.Keys(obj)) {
		l, ok := known[name]
		switch {
		case !ok && slices.ContainsFunc(limits, func(l api.Limit) bool { return l.Name == name }):
			return nil, &api.FieldError{Field: name, Reason: "is fixed while the node runs", Allowed: names}
		case !ok:
			return nil, &api.FieldError{Field: name, Reason: "is not a limit", Allowed: names}
		}
		if string(obj[name]) == "null" { // as it is given
			values[name] = nil
			continue
		}
		v, err := checkLimit(l, obj[name])
		if err != nil {
			return nil, err
		}
		values[name] = &v
	}
	return values, nil
}

func checkLimit(l api.Limit, raw json.RawMessage) (int64, error) {
	fault := &api.FieldError{
		Field: l.Name, Reason: "is out of range", Min: l.Kind.JSONValue(l.Min), Max: l.Kind.JSONValue(l.Max),
	}
	v, err := l.Kind.Parse(raw)
	if err != nil {
		fault.Reason = "cannot be read: " + err.Error()
		return 0, fault
	}
	if v < l.Min || v > l.Max {
		return 0, fault
	}
	return v, nil
}
