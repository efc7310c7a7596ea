package admin

import (
	"fmt"
	"net/http"
	"strings"

	"edgeloop/admin/access"
	"edgeloop/admin/api"
)

// SetPrincipals has these tokens taken from now on and no others. What is being
// served for others ends, live tails too; what is the same goes on.
func (s *Server) SetPrincipals(all ...access.Principal) error {
	return s.roster.Set(all...)
}

// Roster is who may ask, for other ways into the node.
func (s *Server) Roster() *access.Roster { return &s.roster }

// identify finds out who asks. Several Authorization headers are none: another
// program on the way may have looked at another one than we would.
func (s *Server) identify(r *http.Request) (*access.Holder, *api.Problem) {
	sent := r.Header.Values("Authorization")
	if len(sent) != 1 {
		return nil, kindUnauthorized.problem("send one admin token as Authorization: Bearer TOKEN")
	}
	scheme, token, _ := strings.Cut(sent[0], " ")
	h, err := s.roster.Find(strings.TrimSpace(token))
	switch {
	case err != nil && strings.EqualFold(scheme, "Bearer"):
		return nil, kindUnauthorized.problem(err.Error())
	case h == nil || !strings.EqualFold(scheme, "Bearer"):
		return nil, kindUnauthorized.problem("send the admin token as Authorization: Bearer TOKEN")
	}
	return h, nil
}

// callerKey finds the caller in the context of a request.
type callerKey struct{}

// allows refuses a caller that the route is not for.
func (w who) allows(r *http.Request) error {
	if w.open {
		return nil
	}
	c := callerOf(r)
	switch {
	case c == nil:
		return kindUnauthorized.problem("send the admin token as Authorization: Bearer TOKEN")
	case !c.principal.Scopes.Has(w.scope):
		p := kindForbidden.problem(fmt.Sprintf("this needs the scope %s, the token %s has %s", w.scope, c.principal.Name, c.principal.Scopes))
		p.Field, p.Allowed = "scope", []string{w.scope.String()}
		return p
	case w.node && c.principal.Tenant != "":
		return kindForbidden.problem(fmt.Sprintf("this concerns the whole node, the token %s is bound to the tenant %s", c.principal.Name, c.principal.Tenant))
	}
	return nil
}

// getToken says to a caller what its token allows: a page offers no more than that.
func getToken(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	p := callerOf(r).principal
	out := api.Token{Name: p.Name, Scopes: p.Scopes.Words(), Tenant: p.Tenant}
	if !p.Expires.IsZero() {
		out.Expires = &p.Expires
	}
	return writeJSON(w, http.StatusOK, out)
}

// anyTenant asks tenantOf for all of them, by a word that is no name.
const anyTenant = "*"

// tenantOf is the tenant that a caller gets who asks for one: for none ("") those who
// are bound to a tenant get theirs. The answer to another one's name is the same
// whatever there is of that name.
func tenantOf(r *http.Request, asked string) (string, error) {
	c := callerOf(r)
	if c == nil {
		return "", kindUnauthorized.problem("send the admin token as Authorization: Bearer TOKEN")
	}
	tenant, ok := c.principal.TenantOf(asked)
	if !ok {
		return "", kindForbidden.problem(fmt.Sprintf("the token %s is bound to the tenant %s", c.principal.Name, c.principal.Tenant))
	}
	return tenant, nil
}
