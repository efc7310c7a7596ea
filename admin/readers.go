package admin

import (
	"cmp"
	"net/http"
	"slices"

	"go.uber.org/zap"

	"edgeloop/admin/api"
)

func (s *Server) listReaders(w http.ResponseWriter, r *http.Request) error {
	q, err := readQuery(r, "tenant")
	if err != nil {
		return err
	}
	tenant, err := tenantOf(r, q.Get("tenant"))
	if err != nil {
		return err
	}
	all, err := s.node.Log.Readers(r.Context(), tenant)
	if err != nil {
		return err
	}
	if all == nil {
		all = []api.Reader{}
	}
	slices.SortFunc(all, func(a, b api.Reader) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Reader, b.Reader))
	})
	return writeJSON(w, http.StatusOK, api.Readers{Readers: all})
}

// forgetReader forgets a reader by gRPC of a tenant, or, without one, of none.
func (s *Server) forgetReader(w http.ResponseWriter, r *http.Request) error {
	q, err := readQuery(r, "tenant")
	if err != nil {
		return err
	}
	name := r.PathValue("reader")
	if err := s.checkName("reader", name); err != nil {
		return err
	}
	tenant, err := tenantOf(r, q.Get("tenant"))
	if err != nil {
		return err
	}
	note(r, zap.String("tenant", tenant))
	known, err := s.node.Log.ForgetReader(r.Context(), tenant, name)
	if err != nil {
		return err
	}
	if !known {
		return kindNotFound.problem("no reader by gRPC of this tenant and name has a place")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
