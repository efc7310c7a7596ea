package admin

import (
	"math/rand/v2"
	"net/http"
	"strconv"

	"edgeloop/overload"
)

// A node that has too much to do spares itself what is large and can wait. One device, a
// command, a kick, a ban, what changes a limit, health and metrics are never refused.

// spareLeast and spareMore are when to ask again, in seconds: spread, so that those who were
// refused together do not come back together.
const spareLeast, spareMore = 5, 6

// spare refuses a request if the node has too much to do for this load.
func (s *Server) spare(w http.ResponseWriter, load overload.Load) error {
	if !s.cfg.Overload.Refuses(load) {
		return nil
	}
	w.Header().Set("Retry-After", strconv.Itoa(spareLeast+rand.IntN(spareMore)))
	now := s.cfg.Overload.Now()
	return kindOverloaded.problem("the node is " + now.State.String() + " (" + now.Cause.String() + "), GET /v1/node says more under load; ask again later")
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
