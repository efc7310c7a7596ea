package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"edgeloop/admin/api"
)

// problemKind is one type of problem document.
type problemKind uint8

const (
	kindBadRequest problemKind = iota
	kindUnauthorized
	kindForbidden
	kindNotFound
	kindUnknownDevice
	kindNotConnected
	kindMethod
	kindTooLarge
	kindMisdirected
	kindInvalidField
	kindInternal
	kindBusy
	kindOverQuota
	kindUnavailable
	kindDraining
	kindTooManyTails
	kindTooManyRequests
	kindOverloaded
	kindNoReply
	kindTimedOut
	numProblemKinds
)

// problemSpec is what all problems of a kind have in common.
type problemSpec struct {
	name   string // the end of the type's URN, for programs
	title  string
	status int
}

func (k problemKind) spec() problemSpec {
	return [numProblemKinds]problemSpec{
		kindBadRequest:      {"bad-request", "The request cannot be read", http.StatusBadRequest},
		kindUnauthorized:    {"unauthorized", "The admin token is missing or wrong", http.StatusUnauthorized},
		kindForbidden:       {"forbidden", "The admin token does not allow this", http.StatusForbidden},
		kindNotFound:        {"not-found", "There is nothing here", http.StatusNotFound},
		kindUnknownDevice:   {"unknown-device", "The device was never seen", http.StatusNotFound},
		kindNotConnected:    {"not-connected", "The device is not connected", http.StatusNotFound},
		kindMethod:          {"method-not-allowed", "The method is not allowed here", http.StatusMethodNotAllowed},
		kindTooLarge:        {"body-too-large", "The body is too large", http.StatusRequestEntityTooLarge},
		kindMisdirected:     {"unknown-host", "The node is not known by this name", http.StatusMisdirectedRequest},
		kindInvalidField:    {"invalid-field", "A field is not allowed", http.StatusUnprocessableEntity},
		kindInternal:        {"internal", "The node failed", http.StatusInternalServerError},
		kindBusy:            {"device-busy", "The device's queue is full", http.StatusServiceUnavailable},
		kindOverQuota:       {"over-quota", "The tenant has used up its quota", http.StatusTooManyRequests},
		kindUnavailable:     {"unavailable", "The node cannot do this now", http.StatusServiceUnavailable},
		kindDraining:        {"draining", "The node is draining", http.StatusServiceUnavailable},
		kindTooManyTails:    {"too-many-tails", "As many tails are running as are allowed", http.StatusServiceUnavailable},
		kindTooManyRequests: {"too-many-requests", "As many requests are being served as are allowed", http.StatusServiceUnavailable},
		kindOverloaded:      {"overloaded", "The node has too much to do for this", http.StatusServiceUnavailable},
		kindNoReply:         {"no-reply", "No reply came in time", http.StatusGatewayTimeout},
		kindTimedOut:        {"timed-out", "The node did not answer in time", http.StatusGatewayTimeout},
	}[k]
}

func (k problemKind) problem(detail string) *api.Problem {
	spec := k.spec()
	return &api.Problem{
		Type: "urn:edgeloop:problem:" + spec.name, Title: spec.title, Status: spec.status, Detail: detail,
	}
}

// problemOf is the one place where an error becomes a status. An error that it
// does not know is not shown to the caller.
func problemOf(err error) *api.Problem {
	var p *api.Problem
	var field *api.FieldError
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &field):
		p = kindInvalidField.problem(field.Error())
		p.Field, p.Allowed, p.Min, p.Max = field.Field, field.Allowed, field.Min, field.Max
		return p
	case errors.As(err, &tooLarge):
		p = kindTooLarge.problem("the body is larger than the node accepts")
		p.Max = tooLarge.Limit
		return p
	}
	for _, known := range []struct {
		err  error
		kind problemKind
	}{
		{api.ErrUnknownDevice, kindUnknownDevice},
		{api.ErrUnknownSink, kindNotFound},
		{api.ErrNotConnected, kindNotConnected},
		{api.ErrBusy, kindBusy},
		{api.ErrOverQuota, kindOverQuota},
		{api.ErrUnavailable, kindUnavailable},
		{api.ErrDraining, kindDraining},
		{context.DeadlineExceeded, kindTimedOut},
		{context.Canceled, kindTimedOut},
	} {
		if errors.Is(err, known.err) {
			return known.kind.problem(err.Error())
		}
	}
	return kindInternal.problem("the node's log has the cause")
}

// ProblemOf says what is wrong as the API says it, for other ways into the node. An error
// whose text is not for the caller has the status 500.
func ProblemOf(err error) *api.Problem { return problemOf(err) }

func writeProblem(w http.ResponseWriter, p *api.Problem) {
	if (p.Status == http.StatusServiceUnavailable || p.Status == http.StatusTooManyRequests) && w.Header().Get("Retry-After") == "" {
		w.Header().Set("Retry-After", "1")
	}
	writeBody(w, p.Status, api.ProblemType, p)
}

func writeJSON(w http.ResponseWriter, status int, v any) error {
	writeBody(w, status, "application/json", v)
	return nil
}

// writeBody ignores the error of the write: the reader is gone then, and there
// is nobody left to tell.
func writeBody(w http.ResponseWriter, status int, mediaType string, v any) {
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false) // nothing here is put into a page
	_ = e.Encode(v)
}

// writeNoRoute renders what the mux has to say about a request that matches no
// pattern, 404 or 405, as a problem document.
func writeNoRoute(w http.ResponseWriter, r *http.Request, fallback http.Handler) {
	probe := &headerProbe{header: make(http.Header)}
	fallback.ServeHTTP(probe, r)
	if probe.status != http.StatusMethodNotAllowed {
		writeProblem(w, kindNotFound.problem("no such path, see /openapi.json"))
		return
	}
	allow := probe.header.Get("Allow")
	w.Header().Set("Allow", allow)
	p := kindMethod.problem(r.Method + " is not among the methods of this path")
	p.Field, p.Allowed = "method", splitList(allow)
	writeProblem(w, p)
}

// headerProbe learns what a handler would answer and keeps the body to itself.
type headerProbe struct {
	header http.Header
	status int
}

func (p *headerProbe) Header() http.Header         { return p.header }
func (p *headerProbe) WriteHeader(status int)      { p.status = status }
func (p *headerProbe) Write(b []byte) (int, error) { return len(b), nil }
