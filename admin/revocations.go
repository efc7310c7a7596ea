package admin

import (
	"net/http"
	"slices"
	"time"

	"edgeloop/admin/api"
)

func (s *Server) listRevocations(w http.ResponseWriter, r *http.Request) error {
	q, err := readQuery(r, "tenant", "limit", "after")
	if err != nil {
		return err
	}
	limit, err := intParam(q, "limit", api.DefaultPage, 1, api.MaxPage)
	if err != nil {
		return err
	}
	tenant, err := tenantOf(r, q.Get("tenant"))
	if err != nil {
		return err
	}
	all := s.node.Revoked.Revocations(tenant)
	all = slices.DeleteFunc(all, func(one api.Revocation) bool { return one.ID <= q.Get("after") })
	page := api.RevocationPage{Revocations: all[:min(limit, len(all))]}
	if page.Revocations == nil {
		page.Revocations = []api.Revocation{}
	}
	if len(all) > limit {
		page.Next = all[limit-1].ID
	}
	return writeJSON(w, http.StatusOK, page)
}

func (s *Server) revoke(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	obj, err := s.readObject(w, r)
	if err != nil {
		return err
	}
	var req api.RevocationRequest
	if err := obj.into(map[string]any{
		"tenant": &req.Tenant, "device": &req.Device, "jti": &req.JTI, "all": &req.All,
		"before": &req.Before, "until": &req.Until, "reason": &req.Reason,
	}); err != nil {
		return err
	}
	if req.Tenant, err = tenantOf(r, req.Tenant); err != nil {
		return err
	}
	if err := s.checkRevocation(&req, time.Now()); err != nil {
		return err
	}
	made, err := s.node.Revoked.Revoke(r.Context(), api.Revocation{
		Tenant: req.Tenant, Device: req.Device, JTI: req.JTI, Before: req.Before, Until: req.Until, Reason: req.Reason,
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, made)
}

// checkRevocation checks what is asked for, and gives Before its value.
func (s *Server) checkRevocation(req *api.RevocationRequest, now time.Time) error {
	names := map[string]string{"tenant": req.Tenant, "device": req.Device}
	for _, field := range []string{"tenant", "device"} {
		if names[field] == "" {
			continue
		}
		if err := s.cfg.CheckName(field, names[field]); err != nil {
			return &api.FieldError{Field: field, Reason: err.Error()}
		}
	}
	switch {
	case req.All && (req.Tenant != "" || req.Device != "" || req.JTI != ""):
		return &api.FieldError{Field: "all", Reason: "goes with no tenant, device or jti"}
	case !req.All && req.Tenant == "":
		return &api.FieldError{Field: "tenant", Reason: "is missing: name the tenant of the tokens, or give all"}
	case req.JTI != "" && (req.Device != "" || req.Before != nil):
		return &api.FieldError{Field: "jti", Reason: "names one token of the tenant, and goes with neither device nor before"}
	case len(req.JTI) > api.MaxJTI:
		return &api.FieldError{Field: "jti", Reason: "is too long", Max: api.MaxJTI}
	case req.Before != nil && req.Before.After(now.Add(time.Second)):
		return &api.FieldError{Field: "before", Reason: "is in the future: tokens that are not issued yet cannot be taken back", Max: now.UTC().Format(time.RFC3339)}
	case req.Before != nil && req.Before.Unix() < 1:
		return &api.FieldError{Field: "before", Reason: "is before 1970"}
	case req.Until != nil && !req.Until.After(now):
		return &api.FieldError{Field: "until", Reason: "is not in the future", Min: now.UTC().Format(time.RFC3339)}
	}
	if req.JTI == "" && req.Before == nil {
		req.Before = &now
	}
	return checkReason(req.Reason)
}

func (s *Server) deleteRevocation(w http.ResponseWriter, r *http.Request) error {
	q, err := readQuery(r, "tenant")
	if err != nil {
		return err
	}
	tenant, err := tenantOf(r, q.Get("tenant"))
	if err != nil {
		return err
	}
	lifted, err := s.node.Revoked.LiftRevocation(r.Context(), tenant, r.PathValue("id"))
	if err != nil {
		return err
	}
	if !lifted {
		return kindNotFound.problem("there is no revocation with this id")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
