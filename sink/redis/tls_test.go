package redis_test

import (
	"net"
	"slices"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
	"edgeloop/sink/keys"
	"edgeloop/sink/redis"
	"edgeloop/sink/sinktest"
)

// A server whose certificate nobody signed whom the operator names is not spoken to, and one that
// wants a certificate of the node gets it.
func TestRedis_TrustsWhoSigned(t *testing.T) {
	s, values := open(t)
	s.down()
	a := testkit.NewAuthority(t)
	cert, key := a.Issue("redis", nil)
	values["cert_file"], values["key_file"] = a.Issue("node", nil)
	secure := free(t).addr
	_, port, _ := net.SplitHostPort(secure)
	s.more = []string{"--tls-port", port, "--tls-cert-file", cert, "--tls-key-file", key, "--tls-ca-cert-file", a.File, "--tls-auth-clients", "yes"}
	s.up(t)
	values["address"], values["tls"], values["ca_file"] = secure, true, a.File
	sinktest.TrustsWhoSigned(t, redis.New, values)
	if got := sinktest.Firsts(s.received(t)); !slices.Equal(got, sinktest.IDs(sinktest.Records(1, 3)...)) {
		t.Errorf("it has %v", got)
	}
	delete(values, "cert_file")
	delete(values, "key_file")
	if n, err := sinktest.Send(t, sinktest.New(t, redis.New, values), sinktest.Records(4, 4)); n != 0 || err == nil {
		t.Errorf("without a certificate %d are confirmed, error %v", n, err)
	}
	values["tls"] = false
	m := keys.New("sinks.test", values)
	redis.New(m)
	if err := m.Err(); err == nil || !strings.Contains(err.Error(), "tls: true") {
		t.Errorf("files of TLS without it: %v", err)
	}
}
