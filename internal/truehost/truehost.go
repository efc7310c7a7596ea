package truehost

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// Name is the name or the address in a Host field: without the port, the brackets of an
// IPv6 address, and the dot that a name may end with. [RFC9110 7.2]
func Name(field string) string {
	if host, _, err := net.SplitHostPort(field); err == nil {
		field = host
	}
	return strings.TrimSuffix(strings.Trim(field, "[]"), ".")
}

// Sure says whether the Host cannot be somebody else's: an address, or this machine.
func Sure(field string) bool {
	name := Name(field)
	_, err := netip.ParseAddr(name)
	return err == nil || strings.EqualFold(name, "localhost")
}

// Among says whether the Host is one of names, whatever its port.
func Among(field string, names []string) bool {
	name := Name(field)
	return slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(Name(n), name) })
}
