package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"edgeloop/admin/access"
	"edgeloop/admin/api"
)

// errNoLonger ends what a principal has begun that may not ask any more.
var errNoLonger = errors.New("the token is no longer valid")

// holder is a principal, and the context of all that it asks.
type holder struct {
	// Immutable after construction.
	access.Principal
	ctx context.Context
	end context.CancelCauseFunc
}

// SetPrincipals has these tokens taken from now on and no others. What is being
// served for others ends, live tails too; what is the same goes on.
func (s *Server) SetPrincipals(all ...access.Principal) error {
	if len(all) == 0 {
		return errors.New("admin: no token")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.holders.Load()
	fresh := make([]*holder, len(all))
	for i := range all {
		fresh[i] = &holder{Principal: all[i]}
		if before != nil {
			if at := slices.IndexFunc(*before, func(h *holder) bool { return h.Equal(&all[i]) }); at >= 0 {
				fresh[i] = (*before)[at]
				continue
			}
		}
		fresh[i].ctx, fresh[i].end = context.WithCancelCause(context.Background())
	}
	s.holders.Store(&fresh)
	if before != nil {
		for _, h := range *before {
			if !slices.Contains(fresh, h) {
				h.end(errNoLonger)
			}
		}
	}
	return nil
}

// identify finds out who asks. Several Authorization headers are none: another
// program on the way may have looked at another one than we would.
func (s *Server) identify(r *http.Request) (*holder, *api.Problem) {
	sent := r.Header.Values("Authorization")
	if len(sent) != 1 {
		return nil, kindUnauthorized.problem("send one admin token as Authorization: Bearer TOKEN")
	}
	scheme, token, _ := strings.Cut(sent[0], " ")
	all := *s.holders.Load()
	i := access.Find(all, func(h **holder) *access.Principal { return &(*h).Principal }, strings.TrimSpace(token))
	switch {
	case i < 0 || !strings.EqualFold(scheme, "Bearer"):
		return nil, kindUnauthorized.problem("send the admin token as Authorization: Bearer TOKEN")
	case all[i].Expired(time.Now()):
		return nil, kindUnauthorized.problem("the token " + all[i].Name + " has expired")
	}
	return all[i], nil
}

// callerKey finds the caller in the context of a request.
type callerKey struct{}

// within is the context of a request of the holder's: it ends with the request, and
// when the holder may not ask any more.
func (h *holder) within(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.WithValue(ctx, callerKey{}, &caller{principal: &h.Principal}))
	forget := context.AfterFunc(h.ctx, func() { cancel(errNoLonger) })
	var timer *time.Timer
	if !h.Expires.IsZero() {
		timer = time.AfterFunc(time.Until(h.Expires), func() { cancel(errNoLonger) })
	}
	return ctx, func() {
		forget()
		if timer != nil {
			timer.Stop()
		}
		cancel(nil)
	}
}

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
	switch {
	case c == nil:
		return "", kindUnauthorized.problem("send the admin token as Authorization: Bearer TOKEN")
	case c.principal.Tenant == "" || asked == c.principal.Tenant:
		return asked, nil
	case asked == "":
		return c.principal.Tenant, nil
	}
	return "", kindForbidden.problem(fmt.Sprintf("the token %s is bound to the tenant %s", c.principal.Name, c.principal.Tenant))
}
