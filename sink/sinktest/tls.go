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
		d, said := New(t, kind, values), ""
		testkit.Eventually(t, patience, "it to be said of "+what+" that ca_file must name who signed", func() bool {
			n, err := Send(t, d, Records(1, 3))
			ofTheMoment(t, n, err)
			if now := keys.Advise(err).Error(); now != said {
				said = now
				t.Logf("trusting %s it says %s", what, said)
			}
			return strings.Contains(said, "ca_file must name")
		})
	}
	values["ca_file"] = right
	Brings(t, New(t, kind, values), Records(1, 3))
}
