package auth_test

import (
	"encoding/base64"
	"testing"

	"edgeloop/auth"
)

// TestClaimed: whom a token names is a name that a device may have, or nobody.
func TestClaimed(t *testing.T) {
	const header = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
	token := func(claims string) string {
		return header + base64.RawURLEncoding.EncodeToString([]byte(claims)) + ".AA"
	}
	for text, want := range map[string][2]string{
		token(`{"sub":"d1"}`):                   {"default", "d1"},
		token(`{"tenant":"acme","sub":"d1"}`):   {"acme", "d1"},
		token(`{"sub":"d1","tenant":7}`):        {},
		token(`{"sub":"d\u001b1"}`):             {},
		token(`{"sub":"d1","tenant":"a/b"}`):    {},
		token(`{"sub":["d1"]}`):                 {},
		token(`[]`):                             {},
		header + "!.AA":                         {},
		"a.b.c":                                 {},
		"":                                      {},
		token(`{"tenant":"acme"}`):              {},
		token(`{"sub":"d1","sub":"d2","x":[]}`): {},
	} {
		tenant, device, ok := auth.Claimed([]byte(text))
		if [2]string{tenant, device} != want || ok != (want != [2]string{}) {
			t.Errorf("%q names %q %q, %v", text, tenant, device, ok)
		}
	}
}
