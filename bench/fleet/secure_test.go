package fleet_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"edgeloop/bench/fleet"
	"edgeloop/bench/fleettest"
)

// authority is a certificate for 127.0.0.1 that signs itself, and its files.
func authority(t *testing.T) (pair tls.Certificate, certFile, keyFile string) {
	t.Helper()
	s := httptest.NewTLSServer(nil) // has one
	defer s.Close()
	pair = s.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	put := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return pair, put("cert", "CERTIFICATE", pair.Certificate[0]), put("key", "PRIVATE KEY", key)
}

// Over TLS a sound server is as sound as without it, in both versions, also where messages
// take several records and devices have a certificate; devices come back by tickets.
func TestFleet_Secure(t *testing.T) {
	pair, cert, key := authority(t)
	for _, version := range []string{"1.2", "1.3"} {
		t.Run(version, func(t *testing.T) {
			url := fleettest.ServeTLS(t, &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert}, fleettest.Echo(fleettest.Sound, 1))
			f := start(t, fleet.Config{URL: url, Count: 12, Loops: 3, Backoff: 64 * time.Millisecond, TLS: fleet.TLS{
				CA: cert, Cert: cert, Key: key, Version: version, Resume: true, Classic: version == "1.2",
			}})
			connect(t, f, 12)
			do(t, f, fleet.Order{Verb: fleet.Load, Kind: fleet.EchoLoad, InFlight: 4, Size: 20_000})
			until(t, f, "traffic", func(c fleet.Counts) bool { return c[fleet.Received] > 300 })
			do(t, f, fleet.Order{Verb: fleet.Quiet})
			c := until(t, f, "quiet", func(c fleet.Counts) bool { return c.Outstanding() == 0 })
			if c.Unsound() != 0 || c[fleet.Failed] != 0 {
				t.Errorf("a sound server looks unsound: %v", c)
			}
			if hybrid := c[fleet.PostQuantum] == 12; hybrid != (version == "1.3") {
				t.Errorf("%d handshakes by X25519MLKEM768", c[fleet.PostQuantum])
			}
			before := c[fleet.Resumed]
			do(t, f, fleet.Order{Verb: fleet.Drop, How: fleet.RST, Return: true})
			c = until(t, f, "return", func(c fleet.Counts) bool { return c[fleet.Registered] == 24 })
			if c[fleet.Resumed]-before != 12 {
				t.Errorf("%d of 12 came back by a ticket", c[fleet.Resumed]-before)
			}
		})
	}
}

// A server whose certificate nobody vouches for is not spoken to, and who does not answer
// in a handshake is given up.
func TestFleet_SecureRefuses(t *testing.T) {
	pair, _, _ := authority(t)
	url := fleettest.ServeTLS(t, &tls.Config{Certificates: []tls.Certificate{pair}}, fleettest.Echo(fleettest.Sound, 1))
	silent := fleettest.Serve(t, fleettest.Echo(fleettest.Sound, 1)) // waits for a request
	for _, target := range []string{url, strings.Replace(silent, "ws://", "wss://", 1)} {
		within := time.Second
		if target == url { // which answers
			within = patience
		}
		f := start(t, fleet.Config{URL: target, Count: 2, HandshakeTimeout: within, Backoff: time.Minute})
		do(t, f, fleet.Order{Verb: fleet.Connect})
		until(t, f, "failures", func(c fleet.Counts) bool { return c[fleet.Failed] == 2 })
		s, err := f.Snapshot(false)
		if err != nil {
			t.Fatal(err)
		}
		for why := range s.Reasons {
			if target == url && !strings.HasPrefix(why, "tls: ") {
				t.Errorf("it failed because of %q", why)
			}
		}
	}
	for _, cfg := range []fleet.TLS{{CA: "/no/such"}, {Cert: "/no/such"}, {Version: "1.1"}} {
		if f, err := fleet.New(fleet.Config{URL: url, Count: 1, TLS: cfg}); err == nil {
			t.Errorf("%+v was taken", cfg)
			_ = f.Close()
		}
	}
}
