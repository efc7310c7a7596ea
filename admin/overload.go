package admin

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"edgeloop/admin/api"
	"edgeloop/overload"
)

// A node that has too much to do spares itself what is large and can wait. One device, a
// command, a kick, a ban, what changes a limit, health and metrics are never refused.

// spareLeast and spareMore are when to ask again, in seconds: spread, so that those who were
// refused together do not come back together.
const spareLeast, spareMore = 5, 6

// Spare says what is to be told to who asks for a load that the node has too much to do for,
// and when to ask again, for other ways into the node, too; nil: it is to be served. What is
// refused is counted.
func Spare(l *overload.Ladder, load overload.Load) (p *api.Problem, again time.Duration) {
	if !l.Refuses(load) {
		return nil, 0
	}
	now := l.Now()
	p = kindOverloaded.problem("the node is " + now.State.String() + " (" + now.Cause.String() + "), GET /v1/node says more under load; ask again later")
	return p, time.Duration(spareLeast+rand.IntN(spareMore)) * time.Second
}

// spare refuses a request if the node has too much to do for this load.
func (s *Server) spare(w http.ResponseWriter, load overload.Load) error {
	p, again := Spare(s.cfg.Overload, load)
	if p == nil {
		return nil
	}
	w.Header().Set("Retry-After", strconv.Itoa(int(again.Seconds())))
	return p
}

// unless is a route that the node may spare itself.
func (s *Server) unless(load overload.Load, serve func(http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if err := s.spare(w, load); err != nil {
			return err
		}
		return serve(w, r)
	}
}
