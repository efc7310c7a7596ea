package admin

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"edgeloop/admin/api"
)

func (s *Server) listBans(w http.ResponseWriter, r *http.Request) error {
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
	return writeJSON(w, http.StatusOK, banPage(s.node.Bans.Bans(tenant), q.Get("after"), limit))
}

// banPage cuts one page out of all bans. The cursor is "tenant/device" of the
// last one shown; neither name holds a slash.
func banPage(bans []api.Ban, after string, limit int) api.BanPage {
	tenant, device, _ := strings.Cut(after, "/")
	last := api.Ban{Tenant: tenant, Device: device}
	if after != "" {
		bans = slices.DeleteFunc(bans, func(b api.Ban) bool { return compareBans(b, last) <= 0 })
	}
	slices.SortFunc(bans, compareBans)
	page := api.BanPage{Bans: bans[:min(limit, len(bans))]}
	if page.Bans == nil {
		page.Bans = []api.Ban{}
	}
	if len(bans) > limit {
		b := bans[limit-1]
		page.Next = b.Tenant + "/" + b.Device
	}
	return page
}

func compareBans(a, b api.Ban) int {
	return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Device, b.Device))
}

func (s *Server) getBan(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	tenant, device, err := s.pathDevice(r)
	if err != nil {
		return err
	}
	ban, ok := s.node.Bans.BanOf(tenant, device)
	if !ok {
		return kindNotFound.problem("the device is not banned")
	}
	return writeJSON(w, http.StatusOK, ban)
}

func (s *Server) putBan(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	var ban api.Ban
	var err error
	if ban.Tenant, ban.Device, err = s.pathDevice(r); err != nil {
		return err
	}
	obj, err := s.readObject(w, r)
	if err != nil {
		return err
	}
	if err := obj.into(map[string]any{"reason": &ban.Reason, "until": &ban.Until}); err != nil {
		return err
	}
	if err := checkReason(ban.Reason); err != nil {
		return err
	}
	if ban.Until != nil && !ban.Until.After(time.Now()) {
		return &api.FieldError{Field: "until", Reason: "is not in the future", Min: time.Now().UTC().Format(time.RFC3339)}
	}
	created, err := s.node.Bans.Ban(r.Context(), ban)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return writeJSON(w, status, ban)
}

func (s *Server) deleteBan(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	tenant, device, err := s.pathDevice(r)
	if err != nil {
		return err
	}
	lifted, err := s.node.Bans.Unban(r.Context(), tenant, device)
	if err != nil {
		return err
	}
	if !lifted {
		return kindNotFound.problem("the device is not banned")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
