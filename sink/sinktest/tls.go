package sinktest

import (
	"strings"
	"testing"

	"edgeloop/internal/testkit"
	"edgeloop/sink"
	"edgeloop/sink/keys"
)

// TrustsWhoSigned insists that a destination of a kind, whose server has a certificate that the
// file ca_file of values vouches for, brings records with it, and none with another file or with
// none, and that the error leads to the key.
func TrustsWhoSigned(t *testing.T, kind sink.Kind, values map[string]any) {
	t.Helper()
	right := values["ca_file"]
	for what, ca := range map[string]any{"another authority": testkit.NewAuthority(t).File, "those of the system": nil} {
		delete(values, "ca_file")
		if ca != nil {
			values["ca_file"] = ca
		}
		n, err := Send(t, New(t, kind, values), Records(1, 3))
		ofTheMoment(t, n, err)
		if said := keys.Advise(err).Error(); !strings.Contains(said, "ca_file must name") {
			t.Errorf("trusting %s it says %s", what, said)
		}
	}
	values["ca_file"] = right
	if _, err := Send(t, New(t, kind, values), Records(1, 3)); err != nil {
		t.Errorf("trusting who signed it: %v", err)
	}
}
