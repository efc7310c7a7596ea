package main

import (
	"fmt"
	"net/netip"
	"strings"

	"edgeloop/doorman"
)

// prefixes is a flag's list of networks.
type prefixes []netip.Prefix

// parsePrefixes reads networks and lone addresses.
func parsePrefixes(flag string, all []string) (out prefixes, err error) {
	for _, text := range all {
		p, err := doorman.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("--%s=%s: %w, separated by commas", flag, strings.Join(all, ","), err)
		}
		out = append(out, p)
	}
	return out, nil
}

// contains is what the event loop asks; nil for an empty list.
func (p prefixes) contains() func(netip.Addr) bool {
	if len(p) == 0 {
		return nil
	}
	return func(addr netip.Addr) bool {
		for _, network := range p {
			if network.Contains(addr) {
				return true
			}
		}
		return false
	}
}

// planProxies checks the networks of proxies.
func (s *serveCmd) planProxies() error {
	_, err := parsePrefixes("proxy-protocol", s.ProxyProtocol)
	if err == nil {
		_, err = parsePrefixes("trusted-proxies", s.TrustedProxies)
	}
	return err
}

// networks are what planProxies has checked.
func networks(flag string, all []string) prefixes {
	out, err := parsePrefixes(flag, all)
	if err != nil {
		panic(err)
	}
	return out
}
