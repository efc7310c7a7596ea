package names_test

import (
	"net/url"
	"strings"
	"testing"

	"edgeloop/backbone/names"
)

func TestToken(t *testing.T) {
	tests := map[string]string{
		"dev-1_a:b@c": "dev-1_a:b@c",
		"a.b":         "a=2Eb",
		"a=2Eb":       "a=3D2Eb",
		"*":           "=2A",
		">":           "=3E",
		"é x":         "=C3=A9=20x",
	}
	for name, want := range tests {
		if got := string(names.AppendToken(nil, name)); got != want {
			t.Errorf("Token(%q) = %q, want %q", name, got, want)
		}
	}
}

// Two names never share a token, and a token is one token: no name reaches
// another device's subject.
func FuzzToken(f *testing.F) {
	f.Add("a.b")
	f.Add("*\x00>=")
	f.Fuzz(func(t *testing.T, name string) {
		token := string(names.AppendToken(nil, name))
		for i := range len(token) {
			if c := token[i]; c == '.' || c == '*' || c == '>' || c <= ' ' || c > '~' {
				t.Fatalf("Token(%q) = %q", name, token)
			}
		}
		if back, err := url.PathUnescape(strings.ReplaceAll(token, "=", "%")); err != nil || back != name {
			t.Errorf("Token(%q) = %q, which stands for %q, %v", name, token, back, err)
		}
	})
}
