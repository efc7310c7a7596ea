package admin

import (
	"fmt"
	"net/http"

	"edgeloop/admin/api"
	"edgeloop/internal/truehost"
)

// meant says whether a request is meant for this node. A page of another site reaches wherever
// the browser reaches that has it, by a name of the site's own that was given the node's address
// (DNS rebinding): so a name has to be the node's. With TLS the browser has seen that it is; an
// address and localhost are nobody else's; and no page of others has a token, which is in no
// cookie and in no other field that a browser sends by itself. Probes tell nobody's secret.
func (s *Server) meant(r *http.Request, rt route) bool {
	if rt.who.probe || r.TLS != nil || truehost.Sure(r.Host) || truehost.Among(r.Host, s.cfg.Hosts) {
		return true
	}
	_, refused := s.identify(r)
	return refused == nil
}

// misdirected is the answer to a request that is not.
func misdirected(r *http.Request) *api.Problem {
	return kindMisdirected.problem(fmt.Sprintf("the node does not know the name %q: ask by its IP address, send a token as Authorization: Bearer TOKEN, or start the node with this name in --admin-hosts", clip(r.Host)))
}
