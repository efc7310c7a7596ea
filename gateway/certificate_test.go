package gateway_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"edgeloop/auth"
	"edgeloop/envelope"
	"edgeloop/eventloop"
	"edgeloop/gateway"
	"edgeloop/internal/testkit"
	"edgeloop/tlsrec"
)

// A connection ends with its certificate, also when a newer token would be good for longer.
func TestCertificate_OutlivedByNoToken(t *testing.T) {
	t.Parallel()
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	server, err := tlsrec.New(tlsrec.Config{
		CertFile: cert, KeyFile: key, ClientAuth: tlsrec.ClientAuthRequired, ClientCAFile: ca.File,
		Identify: func(c *x509.Certificate) (tlsrec.Identity, error) {
			return tlsrec.Identity{Tenant: auth.DefaultTenant, Device: c.Subject.CommonName}, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	verifier, sign := tokens(t)
	door := eventloop.Listener{Address: "127.0.0.1:0", Greet: eventloop.TLS(server, "", func(do func()) bool { go do(); return true })}
	n := startNodeBehind(t, &memLog{}, &memStore{}, gateway.Config{Verifier: verifier}, false, door)
	connect := func(name string, certificate, token, newer time.Time) *device {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		mine := ca.Pair(name, func(c *x509.Certificate) { c.NotAfter = certificate })
		ws, _, err := websocket.Dial(ctx, fmt.Sprintf("wss://%s/v1/device", n.server.Addr()), &websocket.DialOptions{
			Subprotocols: []string{envelope.ProtoJSON},
			HTTPHeader:   http.Header{"Authorization": {"Bearer " + sign(auth.Claims{Device: name, Expires: token})}},
			HTTPClient: &http.Client{Transport: &http.Transport{
				TLSClientConfig: &tls.Config{RootCAs: ca.Pool(), Certificates: []tls.Certificate{mine}},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		d := &device{node: n, ws: ws}
		d.want("welcome")
		d.send(message{Type: "token", Token: sign(auth.Claims{Device: name, Expires: newer})})
		return d
	}
	soon := func() time.Time { return time.Now().Add(8 * time.Second) }
	late := time.Now().Add(time.Hour)
	stays := connect("stays", late, soon(), late)
	ends := connect("ends", soon(), late, late.Add(time.Hour))
	endless := connect("endless", soon(), late, time.Time{})
	ends.wantClosed(4401)
	endless.wantClosed(4401)
	stays.wantOpen()
}
