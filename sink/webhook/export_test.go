package webhook

import "edgeloop/sink/keys"

// Allowed says whether a connection to an address is allowed that the host of a URL led to.
func Allowed(m *keys.Map, host, address string) error {
	g := guard{named: named(m, host)}
	return g.control("tcp", address, nil)
}
