package gateway

import (
	"slices"
	"strings"

	"edgeloop/eventloop"
	"edgeloop/internal/truehost"
)

// AnyOrigin among Config.AllowedOrigins allows pages of everywhere.
const AnyOrigin = "*"

// fromElsewhere refuses a script of a page that is neither of this address nor allowed. A browser
// connects wherever a page asks it to, even to a node that only its own network reaches, with the
// certificate that the browser has, and says whose page it was. So the origin is checked if no
// token is needed; a token the page must have itself. [RFC6455 10.2]
func (g *Gateway) fromElsewhere(h *eventloop.Credentials) *eventloop.Refusal {
	if len(h.Origin) == 0 || trueHost(h) && sameHost(string(h.Origin), string(h.Host)) ||
		slices.ContainsFunc(g.cfg.AllowedOrigins, func(o string) bool { return o == AnyOrigin || strings.EqualFold(o, string(h.Origin)) }) {
		return nil
	}
	g.drops[DropForbidden].Add(1)
	return &eventloop.Refusal{Reason: eventloop.ReasonForbidden, Text: "pages of other sites may not connect without a token: the node has to allow this Origin (--allowed-origins)"}
}

// trueHost says whether the host that was asked for cannot be somebody else's: an address,
// this machine, or a name that TLS has shown to be the node's. Any other name is of a site
// that may have given it the node's address a moment ago, to be the same site as the node
// (DNS rebinding).
func trueHost(h *eventloop.Credentials) bool {
	return h.Certificate != nil || truehost.Sure(string(h.Host))
}

// sameHost says whether an origin is of the host that was asked for. The scheme does not
// matter, because TLS may end before the node. [RFC6454 6.2]
func sameHost(origin, host string) bool {
	scheme, of, ok := strings.Cut(origin, "://")
	if !ok {
		return false // "null" among others
	}
	port := map[string]string{"http": ":80", "https": ":443"}[strings.ToLower(scheme)]
	return strings.EqualFold(of, host) || strings.EqualFold(of+port, host) || strings.EqualFold(of, host+port)
}
