package attack_test

import (
	"context"
	"strings"
	"testing"

	"edgeloop/bench/fault/attack"
)

// What is attacked is on the loopback, and no attack is without an end.
func TestAttack_Refused(t *testing.T) {
	for _, a := range []string{
		`{"kind":"silent","addr":"192.0.2.1:80","count":1,"for":1}`,
		`{"kind":"silent","addr":"example.com:80","count":1,"for":1}`,
		`{"kind":"silent","addr":"127.0.0.1:80","count":1000000,"for":1}`,
		`{"kind":"silent","addr":"127.0.0.1:80","count":1}`,
		`{"kind":"silent","addr":"127.0.0.1:80","count":1,"for":3600000000000}`,
		`{"kind":"unknown","addr":"127.0.0.1:80","count":1,"for":1}`,
	} {
		if _, err := attack.Run(context.Background(), a); err == nil || !strings.HasPrefix(err.Error(), "fault: ") {
			t.Errorf("%s: %v", a, err)
		}
	}
}
