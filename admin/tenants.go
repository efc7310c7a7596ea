package admin

import (
	"net/http"

	"go.uber.org/zap"
)

// pathTenant gives the name in the path, checked, for who may ask for it.
func (s *Server) pathTenant(r *http.Request) (string, error) {
	tenant := r.PathValue("tenant")
	if err := s.checkName("tenant", tenant); err != nil {
		return "", err
	}
	return tenantOf(r, tenant)
}

func (s *Server) getTenant(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	tenant, err := s.pathTenant(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, s.node.Limits.Tenant(tenant))
}

// patchTenant changes the quotas of one tenant. Who is bound to a tenant may not: they are
// set for it.
func (s *Server) patchTenant(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	tenant, err := s.pathTenant(r)
	if err != nil {
		return err
	}
	obj, err := s.readObject(w, r)
	if err != nil {
		return err
	}
	values, err := checkLimits(s.node.Limits.Tenant(tenant).Limits, obj)
	if err != nil {
		return err
	}
	note(r, zap.String("tenant", tenant), zap.Any("limits", values))
	if err := s.node.Limits.SetTenant(r.Context(), tenant, values); err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, s.node.Limits.Tenant(tenant))
}
