package admin

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"edgeloop/admin/api"
)

func (s *Server) listAddressBans(w http.ResponseWriter, r *http.Request) error {
	q, err := readQuery(r, "limit", "after")
	if err != nil {
		return err
	}
	limit, err := intParam(q, "limit", api.DefaultPage, 1, api.MaxPage)
	if err != nil {
		return err
	}
	bans, after := s.node.Bans.AddressBans(), q.Get("after")
	slices.SortFunc(bans, func(a, b api.AddressBan) int { return strings.Compare(a.Address, b.Address) })
	if after != "" {
		bans = slices.DeleteFunc(bans, func(b api.AddressBan) bool { return b.Address <= after })
	}
	page := api.AddressBanPage{Bans: append([]api.AddressBan{}, bans[:min(limit, len(bans))]...)}
	if len(bans) > limit {
		page.Next = bans[limit-1].Address
	}
	return writeJSON(w, http.StatusOK, page)
}

func (s *Server) deleteAddressBan(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	addr, err := netip.ParseAddr(r.PathValue("address"))
	if err != nil || addr.Zone() != "" {
		return &api.FieldError{Field: "address", Reason: "is no address: give one like 192.0.2.1 or 2001:db8::1, any one of a network that is banned"}
	}
	if !s.node.Bans.UnbanAddress(addr) {
		return kindNotFound.problem("the address is not banned")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
