package main

import (
	"context"
	"crypto/tls"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"edgeloop/internal/testkit"
	"edgeloop/tlsrec"
)

// TestServe_OneProtocolADoor: behind TLS each door speaks one protocol, and a client that
// names others alone does not get past the handshake.
func TestServe_OneProtocolADoor(t *testing.T) {
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	r := serve(t, "--tls-listen=127.0.0.2:0", "--mqtt-tls-listen=127.0.0.3:0", "--tls-cert="+cert, "--tls-key="+key)
	listeners := r.addresses(t).Listeners
	web, mqtt := listeners[1], listeners[2]
	if got := r.addresses(t).TLS; got != web {
		t.Errorf("node.json has %q, want %q", got, web)
	}
	for _, c := range []struct{ addr, offered, agreed string }{
		{web, "http/1.1", "http/1.1"},
		{web, "mqtt", ""},
		{mqtt, "mqtt", "mqtt"},
		{mqtt, "http/1.1", ""},
	} {
		conn, err := tls.Dial("tcp", c.addr, &tls.Config{RootCAs: ca.Pool(), ServerName: "localhost", NextProtos: []string{c.offered}})
		agreed := ""
		if err == nil {
			agreed = conn.ConnectionState().NegotiatedProtocol
			conn.Close()
		}
		if agreed != c.agreed || (err == nil) != (c.agreed != "") {
			t.Errorf("%s at %s: agreed on %q, %v", c.offered, c.addr, agreed, err)
		}
	}
	r.stop(t, exitOK)
}

// TestServe_PlainBesideRequired: a listener without TLS asks for no certificate, which the
// log says at the start, and of no other node.
func TestServe_PlainBesideRequired(t *testing.T) {
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	flags := []string{"--tls-listen=127.0.0.2:0", "--tls-cert=" + cert, "--tls-key=" + key, "--tls-client-ca=" + ca.File}
	for auth, want := range map[string]bool{"required": true, "optional": false} {
		r := serve(t, append(flags, "--tls-client-auth="+auth)...)
		r.stop(t, exitOK)
		if said := strings.Contains(r.errs.String(), "--listen=127.0.0.1:0") && strings.Contains(r.errs.String(), "ask for no certificate"); said != want {
			t.Errorf("%s: it says %s", auth, r.errs)
		}
	}
}

// TestWatchTLS_ChangedBeforeItBegan: a file that changed after it was read, and before
// anybody watched, is read again.
func TestWatchTLS_ChangedBeforeItBegan(t *testing.T) {
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("old", nil)
	server, err := tlsrec.New(tlsrec.Config{CertFile: cert, KeyFile: key})
	if err != nil {
		t.Fatal(err)
	}
	newCert, newKey := ca.Issue("renewed", nil)
	for from, to := range map[string]string{newCert: cert, newKey: key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		n := &node{cfg: &serveCmd{}, tls: server, turn: make(chan struct{}, 1), log: &logging{Logger: zap.NewNop()}}
		ctx, cancel := context.WithCancel(t.Context())
		go n.watchFiles(ctx, n.fileWatches())
		time.Sleep(10 * filesEvery)
		synctest.Wait()
		cancel()
		if got := n.tlsReloads[reloadDone].Load(); got != 1 {
			t.Errorf("read again %d times, want once", got)
		}
	})
}

// TestServe_TLSFilesNameTheirFlag: of a file that cannot be used it is said which flag has it.
func TestServe_TLSFilesNameTheirFlag(t *testing.T) {
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	given := map[string]string{"--tls-cert": cert, "--tls-key": key, "--tls-client-ca": ca.File}
	for _, c := range []struct{ flag, how string }{
		{"--tls-cert", "leaf first"},
		{"--tls-key", "the key of that certificate"},
		{"--tls-client-ca", "a PEM file"},
		{"--tls-crl", "PEM or DER"},
		{"--tls-ticket-keys", "openssl rand -base64 32"},
	} {
		for what, file := range map[string]string{"missing": filepath.Join(t.TempDir(), "none"), "garbage": put(t, "garbage", "oh no")} {
			if what == "garbage" && (c.flag == "--tls-cert" || c.flag == "--tls-key") {
				continue // which of both is wrong is not known
			}
			t.Run(c.flag+" "+what, func(t *testing.T) {
				args := []string{"serve", "--data-dir=" + t.TempDir(), "--listen=none", "--admin-listen=127.0.0.1:0", "--tls-listen=127.0.0.1:0", "--tls-client-auth=optional"}
				all := maps.Clone(given)
				all[c.flag] = file
				for flag, file := range all {
					args = append(args, flag+"="+file)
				}
				wantRefused(t, args, []string{c.flag + "=" + file + ": ", c.how})
			})
		}
	}
}

// TestWatchTLS_Broken: a file that cannot be used is in the readiness warnings until it can.
func TestWatchTLS_Broken(t *testing.T) {
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	cfg := &serveCmd{TLSListen: []string{"127.0.0.1:0"}, TLSCert: []string{cert}, TLSKey: []string{key}, TLSClientAuth: "none", TLSIdentity: "{cn}", TLSTenant: "default", GRPCCert: cert, GRPCKey: key}
	server, err := cfg.openTLS(zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	certs, err := cfg.readCertificates()
	if err != nil {
		t.Fatal(err)
	}
	good := pemOf(t, cert)
	synctest.Test(t, func(t *testing.T) {
		n := &node{cfg: cfg, tls: server, certs: certs, turn: make(chan struct{}, 1), log: &logging{Logger: zap.NewNop()}}
		ctx, cancel := context.WithCancel(t.Context())
		go n.watchFiles(ctx, n.fileWatches())
		want := func(text string, flags ...string) {
			t.Helper()
			if err := os.WriteFile(cert, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * filesEvery)
			synctest.Wait()
			var said []string
			for _, w := range append(n.tlsWarnings(time.Now()), n.certs.warnings(time.Now())...) {
				if w.Code == "tls_file_broken" {
					said = append(said, w.Detail)
				}
			}
			if len(said) != len(flags) {
				t.Fatalf("it warns of %q", said)
			}
			for i, flag := range flags {
				if !strings.Contains(said[i], flag) || !strings.Contains(said[i], cert) {
					t.Errorf("it says %q, without %s", said[i], flag)
				}
			}
		}
		want(good)
		want("oh no", "--tls-cert", "--grpc-cert")
		want(good)
		cancel()
	})
}
