package gateway

import (
	"testing"

	"edgeloop/eventloop"
	"edgeloop/tlsrec"
)

// A page is of the node where it is of the node's address. That of a name is not, unless
// TLS has shown the name to be the node's: any site may give its name the node's address.
func TestFromElsewhere_NamesProveNothing(t *testing.T) {
	for _, c := range []struct {
		host, origin string
		tls, refused bool
	}{
		{"127.0.0.1:8080", "http://127.0.0.1:8080", false, false},
		{"10.0.0.1", "http://10.0.0.1", false, false},
		{"[::1]:8080", "http://[::1]:8080", false, false},
		{"[::1]", "http://[::1]", false, false},
		{"localhost:8080", "http://LOCALHOST:8080", false, false},
		{"evil.example:8080", "http://evil.example:8080", false, true},
		{"evil.example", "http://evil.example", false, true},
		{"localhost.evil.example:8080", "http://localhost.evil.example:8080", false, true},
		{"127.0.0.1.evil.example", "http://127.0.0.1.evil.example", false, true},
		{"app.example", "http://app.example", false, false}, // allowed
		{"node.example", "https://node.example", true, false},
		{"node.example", "https://evil.example", true, true},
		{"127.0.0.1:8080", "http://127.0.0.1:9090", false, true},
		{"127.0.0.1:8080", "null", false, true},
		{"evil.example", "", false, false}, // no browser
	} {
		g := &Gateway{cfg: Config{AllowedOrigins: []string{"http://app.example"}}}
		h := &eventloop.Credentials{Host: []byte(c.host), Origin: []byte(c.origin)}
		if c.tls {
			h.Certificate = &tlsrec.Identity{}
		}
		if refusal := g.fromElsewhere(h); (refusal != nil) != c.refused || (g.drops[DropForbidden].Load() == 1) != c.refused {
			t.Errorf("host %s, origin %q: %+v, counted %d", c.host, c.origin, refusal, g.drops[DropForbidden].Load())
		}
	}
}
