package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// TestHealthListen: probes are answered at an address of their own, where the admin API answers
// nobody without a certificate, and until the node has gone: that it goes, too. The tool asks there.
func TestHealthListen(t *testing.T) {
	ca, people := testkit.NewAuthority(t), testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	r := serve(t, "--health-listen=127.0.0.1:0", "--admin-tls-cert="+cert, "--admin-tls-key="+key, "--admin-tls-client-ca="+people.File)
	data := "--data-dir=" + r.dir
	testkit.Eventually(t, patience, "the node to be ready", func() bool {
		code, out, _ := tool("health", data)
		return code == exitOK && out == "ready\n"
	})
	if code, out, errs := tool("health", "--live", "--timeout=1m", data); code != exitOK || out != "alive\n" {
		t.Errorf("health --live: exit code %d, %q", code, errs)
	}
	at := r.addresses(t)
	if resp, err := http.Get(at.healthURL() + "/v1/node"); err != nil || resp.StatusCode != http.StatusNotFound {
		t.Errorf("/v1/node: %+v, %v", resp, err)
	} else {
		resp.Body.Close()
	}
	own, ownKey := people.Issue("ops", nil)
	if code, _, errs := tool("drain", data, "--admin-cert="+own, "--admin-key="+ownKey); code != exitOK {
		t.Fatalf("drain: exit code %d, %q", code, errs)
	}
	testkit.Eventually(t, patience, "the node to say that it drains", func() bool {
		code, _, errs := tool("health", data)
		return code == exitFail && strings.Contains(errs, "draining")
	})
	r.stop(t, exitOK)
}

// TestHealthListen_WhileItStarts: probes are told what a node waits for that cannot reach its log.
func TestHealthListen_WhileItStarts(t *testing.T) {
	r := begin(t, "--health-listen=127.0.0.1:0", "--nats-url=nats://127.0.0.1:1")
	var at []string
	testkit.Eventually(t, patience, "the node to say where it is probed", func() bool {
		at = regexp.MustCompile(`probes\s.*"address": "([0-9.:]+)"`).FindStringSubmatch(r.errs.String())
		return at != nil
	})
	testkit.Eventually(t, patience, "the node to say what it waits for", func() bool {
		code, _, errs := tool("health", "--data-dir="+r.dir, "--health-listen="+at[1])
		return code == exitFail && strings.Contains(errs, "starting") && strings.Contains(errs, "log_unreachable")
	})
	r.stop(t, exitOK)
}
