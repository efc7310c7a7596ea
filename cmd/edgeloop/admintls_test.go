package main

import (
	"context"
	"crypto/tls"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"edgeloop/internal/testkit"
)

// TestAdminTLS_Verbs: commands find a node that speaks TLS by its data directory, and know
// it by its file; elsewhere they need its authorities. Where one speaks TLS and the other
// does not, the error says which.
func TestAdminTLS_Verbs(t *testing.T) {
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	r := serve(t, "--admin-tls-cert="+cert, "--admin-tls-key="+key)
	data, at := "--data-dir="+r.dir, r.addresses(t).Admin
	_, port, _ := strings.Cut(at, ":")
	other, _ := testkit.NewAuthority(t).Issue("other", nil)
	copied := filepath.Join(t.TempDir(), "elsewhere")
	if err := os.Mkdir(copied, 0o700); err != nil {
		t.Fatal(err)
	}
	pretend(t, copied, addresses{Admin: at, AdminCert: other})
	testkit.Eventually(t, patience, "the node to be ready", func() bool { code, _, _ := tool("health", data); return code == exitOK })
	for _, c := range []struct {
		args string
		code int
		say  string
	}{
		{"devices " + data, exitOK, "TENANT"},
		{"health " + data, exitOK, "ready"},
		{"health --live --data-dir=" + t.TempDir() + " --admin-listen=" + at + " --admin-tls-cert=" + cert, exitOK, "alive"},
		{"devices " + data + " --admin-url=https://localhost:" + port + " --admin-ca=" + ca.File, exitOK, "TENANT"},
		{"health " + data + " --admin-ca=" + ca.File, exitOK, "ready"},
		{"devices " + data + " --admin-url=https://" + at, exitFail, "give --admin-ca"},
		{"devices " + data + " --admin-url=https://127.0.0.2:" + port + " --admin-ca=" + ca.File, exitFail, "no node answers"},
		{"devices " + data + " --admin-url=http://" + at, exitFail, "give --admin-url with https://"},
		{"health --admin-url=http://" + at, exitFail, "give --admin-url with https://"},
		{"health --data-dir=" + copied, exitFail, "another one than in the node's file"},
		{"devices " + data + " --admin-ca=" + filepath.Join(r.dir, "none"), exitUsage, "--admin-ca"},
		{"devices " + data + " --admin-ca=" + key, exitUsage, "no certificate"},
		{"devices " + data + " --admin-cert=" + cert, exitUsage, "--admin-key"},
	} {
		code, out, errs := tool(strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(out+errs, c.say) || strings.Count(errs, "\n") > 1 {
			t.Errorf("%s: exit code %d, %q, %q; want %d and %q", c.args, code, out, errs, c.code, c.say)
		}
	}
	r.stop(t, exitOK)

	plain := serve(t)
	code, _, errs := tool("devices", "--data-dir="+plain.dir, "--admin-url=https://"+plain.addresses(t).Admin)
	if code != exitFail || !strings.Contains(errs, "give --admin-url with http://") {
		t.Errorf("https where there is no TLS: exit code %d, %q", code, errs)
	}
	plain.stop(t, exitOK)
}

// TestAdminTLS_ClientCertificates: with --admin-tls-client-ca nobody gets an answer who has
// no certificate of it, token or not.
func TestAdminTLS_ClientCertificates(t *testing.T) {
	ca, people := testkit.NewAuthority(t), testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	r := serve(t, "--admin-tls-cert="+cert, "--admin-tls-key="+key, "--admin-tls-client-ca="+people.File)
	for name, from := range map[string]*testkit.Authority{"ops": people, "stranger": ca} {
		own, ownKey := from.Issue(name, nil)
		code, out, errs := tool("devices", "--data-dir="+r.dir, "--admin-cert="+own, "--admin-key="+ownKey)
		if (code == exitOK) != (name == "ops") || code != exitOK && !strings.Contains(errs, "give --admin-cert and --admin-key") {
			t.Errorf("%s: exit code %d, %q, %q", name, code, out, errs)
		}
	}
	for _, verb := range []string{"devices", "health"} {
		if code, _, errs := tool(verb, "--data-dir="+r.dir); code != exitFail || !strings.Contains(errs, "give --admin-cert and --admin-key") {
			t.Errorf("%s without one: exit code %d, %q", verb, code, errs)
		}
	}
	r.stop(t, exitOK)
}

// TestAdminTLS_Flags: what does not go together stops the start.
func TestAdminTLS_Flags(t *testing.T) {
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	open := put(t, "open.key", "")
	if err := os.Chmod(open, 0o644); err != nil { //nolint:gosec // that is the fault
		t.Fatal(err)
	}
	for args, say := range map[string]string{
		"--admin-tls-cert=" + cert:                                                               "--admin-tls-key",
		"--admin-tls-key=" + key:                                                                 "--admin-tls-cert",
		"--admin-tls-client-ca=" + ca.File:                                                       "is for --admin-tls-cert",
		"--admin-tls-cert=" + cert + " --admin-tls-key=" + cert:                                  "--admin-tls-key=" + cert,
		"--admin-tls-cert=" + cert + " --admin-tls-key=" + open:                                  "chmod 0640",
		"--admin-tls-cert=" + cert + " --admin-tls-key=/none":                                    "/none",
		"--admin-listen=0.0.0.0:0":                                                               "give --admin-tls-cert",
		"--admin-tls-cert=" + cert + " --admin-tls-key=" + key + " --admin-tls-client-ca=" + key: "no certificate",
	} {
		all := append([]string{"serve", "--data-dir=" + t.TempDir(), "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"}, strings.Fields(args)...)
		if code, _, errs := tool(all...); code != exitUsage || !strings.Contains(errs, say) {
			t.Errorf("%s: exit code %d, %q; want %q", args, code, errs, say)
		}
	}
}

// TestCertificates_Renewed: a certificate of the admin API or of gRPC that has changed is
// read again by itself, for new connections; a broken one leaves that before in force, and
// is counted. Authorities are part of it.
func TestCertificates_Renewed(t *testing.T) {
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	cfg := &serveCmd{GRPCCert: cert, GRPCKey: key}
	cfg.AdminTLSCert, cfg.AdminTLSKey, cfg.AdminTLSClientCA = cert, key, put(t, "people.pem", pemOf(t, ca.File))
	certs, err := cfg.readCertificates()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		n := &node{cfg: cfg, certs: certs, turn: make(chan struct{}, 1), log: &logging{Logger: zap.NewNop()}}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go n.watchFiles(ctx, n.fileWatches())
		served := func() (names []string) {
			t.Helper()
			time.Sleep(10 * filesEvery)
			synctest.Wait()
			for _, c := range n.certs.all() {
				seen, err := c.config().GetConfigForClient(&tls.ClientHelloInfo{})
				if err != nil {
					t.Fatal(err)
				}
				names = append(names, seen.Certificates[0].Leaf.Subject.CommonName)
			}
			return names
		}
		reloads := func() [numReloads]uint64 {
			return [numReloads]uint64{n.tlsReloads[reloadDone].Load(), n.tlsReloads[reloadFailed].Load()}
		}
		if got := served(); strings.Join(got, " ") != "node node" || reloads() != [numReloads]uint64{} {
			t.Errorf("before: %q, %v", got, reloads())
		}
		newCert, newKey := ca.Issue("renewed", nil)
		if err := errors.Join(os.Rename(newCert, cert), os.Rename(newKey, key)); err != nil {
			t.Fatal(err)
		}
		if got := served(); strings.Join(got, " ") != "renewed renewed" || reloads() != [numReloads]uint64{2, 0} {
			t.Errorf("renewed: %q, %v", got, reloads())
		}
		people := n.certs.admin.now.Load().config.ClientCAs
		if err := os.WriteFile(cfg.AdminTLSClientCA, []byte("oh no"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := served(); strings.Join(got, " ") != "renewed renewed" || reloads() != [numReloads]uint64{2, 1} || !n.certs.admin.now.Load().config.ClientCAs.Equal(people) {
			t.Errorf("broken authorities: %q, %v", got, reloads())
		}
		others := testkit.NewAuthority(t)
		if err := os.WriteFile(cfg.AdminTLSClientCA, []byte(pemOf(t, others.File)), 0o600); err != nil {
			t.Fatal(err)
		}
		if served(); !n.certs.admin.now.Load().config.ClientCAs.Equal(others.Pool()) {
			t.Errorf("other authorities are not in force, %v", reloads())
		}
	})
}

// pemOf is what a file holds.
func pemOf(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestCertificates_Warnings: a certificate that ends soon is in the readiness warnings, with
// the flag that names it.
func TestCertificates_Warnings(t *testing.T) {
	cert, key := testkit.NewAuthority(t).Issue("node", nil) // for a day
	cfg := &serveCmd{GRPCCert: cert, GRPCKey: key}
	cfg.AdminTLSCert, cfg.AdminTLSKey = cert, key
	certs, err := cfg.readCertificates()
	if err != nil {
		t.Fatal(err)
	}
	for at, code := range map[time.Duration]string{0: "tls_certificate_expires", 48 * time.Hour: "tls_certificate_expired", -48 * time.Hour: "tls_certificate_early"} {
		all := certs.warnings(time.Now().Add(at))
		if len(all) != 2 || all[0].Code != code || !strings.Contains(all[0].Detail, "--admin-tls-cert="+cert) || !strings.Contains(all[1].Detail, "--grpc-cert="+cert) {
			t.Errorf("at %s: %+v", at, all)
		}
	}
	got := 0
	count := func(string, float64, ...string) { got++ }
	if certs.metrics(count, nil); got != 1 {
		t.Errorf("one file has %d series", got)
	}
}
