package admin

import (
	"context"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"go.uber.org/zap"

	"edgeloop/admin/api"
)

func (s *Server) listDevices(w http.ResponseWriter, r *http.Request) error {
	q, err := readQuery(r, "tenant", "prefix", "online", "group", "limit", "after")
	if err != nil {
		return err
	}
	query := api.DeviceQuery{
		Tenant: q.Get("tenant"), Prefix: q.Get("prefix"), Group: q.Get("group"), After: q.Get("after"),
	}
	if query.Tenant, err = tenantOf(r, query.Tenant); err != nil {
		return err
	}
	if query.Online, err = boolParam(q, "online"); err != nil {
		return err
	}
	if query.Limit, err = intParam(q, "limit", api.DefaultPage, 1, api.MaxPage); err != nil {
		return err
	}
	page, err := s.node.Devices.Devices(query)
	if err != nil {
		return err
	}
	if page.Devices == nil {
		page.Devices = []api.Device{} // an empty list is [], never null
	}
	return writeJSON(w, http.StatusOK, page)
}

func (s *Server) getDevice(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	tenant, device, err := s.pathDevice(r)
	if err != nil {
		return err
	}
	d, err := s.node.Devices.Device(r.Context(), tenant, device)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, d)
}

// Kicking says "policy", which stops no device from coming back; a ban does.
const (
	kickCode   = 1008
	kickReason = "disconnected by an operator"
)

func (s *Server) kick(w http.ResponseWriter, r *http.Request) error {
	q, err := readQuery(r, "code", "reason")
	if err != nil {
		return err
	}
	tenant, device, err := s.pathDevice(r)
	if err != nil {
		return err
	}
	obj, err := s.readObject(w, r)
	if err != nil {
		return err
	}
	for _, name := range []string{"code", "reason"} {
		if _, inBody := obj[name]; inBody && q.Has(name) {
			return malformed(name, "is in the query and in the body", nil)
		}
	}
	req := api.KickRequest{Code: kickCode, Reason: kickReason}
	if q.Has("reason") {
		req.Reason = q.Get("reason")
	}
	if q.Has("code") {
		// What does not fit becomes 0 and is refused below with the others.
		code, _ := strconv.ParseUint(q.Get("code"), 10, 16)
		req.Code = uint16(code)
	}
	if err := obj.into(map[string]any{"code": &req.Code, "reason": &req.Reason}); err != nil {
		return err
	}
	if !closeCodeAllowed(req.Code) {
		return &api.FieldError{
			Field: "code", Reason: "is not a close code that may be sent",
			Allowed: []string{"1000", "1001", "1008", "1012", "1013", "3000-4999"},
		}
	}
	if err := checkReason(req.Reason); err != nil {
		return err
	}
	if err := s.node.Devices.Kick(tenant, device, req.Code, req.Reason); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// closeCodeAllowed leaves out the codes that accuse the device of a fault of
// protocol; an operator's wish is none.
func closeCodeAllowed(code uint16) bool {
	switch code {
	case 1000, 1001, 1008, 1012, 1013:
		return true
	}
	return code >= 3000 && code <= 4999 // [RFC6455 7.4.2]
}

// checkReason keeps a reason within a close frame. [RFC6455 5.5]
func checkReason(reason string) error {
	if len(reason) > api.MaxReason || !utf8.ValidString(reason) {
		return &api.FieldError{Field: "reason", Reason: "is longer than a close frame holds, or not UTF-8", Max: api.MaxReason}
	}
	return nil
}

// resetWait is how long a reset may take to become durable.
const resetWait = 20 * time.Second

func (s *Server) reset(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	tenant, device, err := s.pathDevice(r)
	if err != nil {
		return err
	}
	obj, err := s.readObject(w, r)
	if err != nil {
		return err
	}
	if err := obj.into(nil); err != nil {
		return err
	}
	s.extendWrite(w, resetWait)
	ctx, cancel := context.WithTimeout(r.Context(), resetWait)
	defer cancel()
	out, err := s.node.Devices.Reset(ctx, tenant, device)
	if err != nil {
		return err
	}
	note(r, zap.Uint64("was", out.Was), zap.Uint64("epoch", out.Epoch))
	return writeJSON(w, http.StatusOK, out)
}
