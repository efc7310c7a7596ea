package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"edgeloop/admin/api"
)

// pretend has a node run on a data directory, as far as its file tells, until its end.
func pretend(t *testing.T, dir string, at addresses) (end func()) {
	t.Helper()
	held, err := at.write(addressFile(dir))
	if err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() { _ = unlock(held) }) // as the kernel does for a process that is killed
	t.Cleanup(end)
	return end
}

// catcher is somebody who listens where a node has been.
func catcher(t *testing.T) (at string, asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), asked
}

// TestAddresses_OfWhoHasEnded: the file that a killed node leaves behind, and one that means
// another network or another machine, lead to nobody: no tool shows a token there.
func TestAddresses_OfWhoHasEnded(t *testing.T) {
	at, asked := catcher(t)
	boot, network := place()
	if boot == "" || network == "" {
		t.Fatalf("this machine has no place: %q, %q", boot, network)
	}
	for name, c := range map[string]struct {
		a    addresses
		live bool
		say  string
	}{
		"a killed node":          {addresses{Boot: boot, Network: network, PID: os.Getpid()}, false, "has ended"},
		"of an older version":    {addresses{PID: os.Getpid()}, false, "has ended"},
		"in a container":         {addresses{Boot: boot, Network: "net:[1]"}, true, "runs in another network"},
		"on another machine":     {addresses{Boot: "00000000-0000-0000-0000-000000000000", Network: network}, true, "runs in another network"},
		"a killed one elsewhere": {addresses{Boot: "0", Network: "net:[1]"}, false, "has ended"},
	} {
		dir := filepath.Dir(put(t, ownToken, "0123456789abcdef0123456789\n"))
		c.a.Admin = at
		if end := pretend(t, dir, c.a); !c.live {
			end()
		}
		code, out, errs := tool("devices", "--data-dir="+dir)
		if code != exitFail || out != "" || !strings.Contains(errs, c.say) || !strings.Contains(errs, "--admin-url") || strings.Count(errs, "\n") != 1 {
			t.Errorf("%s: exit code %d, %q, %q", name, code, out, errs)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("somebody else was asked %d times", n)
	}
}

// TestAddresses_OfWhoEndsMeanwhile: a tool that asks again and again asks nobody once the node
// has been killed, nor the one that has started in its place.
func TestAddresses_OfWhoEndsMeanwhile(t *testing.T) {
	at, asked := catcher(t)
	dir := filepath.Dir(put(t, ownToken, "0123456789abcdef0123456789\n"))
	end := pretend(t, dir, addresses{Admin: at})
	c, err := remote{DataDir: dir}.client()
	if err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		_, err := c.SetLimits(t.Context(), map[string]any{"window": 1})
		return err
	}
	if _ = ask(); asked.Load() != 1 {
		t.Fatalf("the node was asked %d times", asked.Load())
	}
	end()
	if err := ask(); err == nil || !strings.Contains(explain(err), "has ended") {
		t.Errorf("after its end: %v", err)
	}
	pretend(t, dir, addresses{Admin: "127.0.0.1:1"})
	if err := ask(); err == nil || !strings.Contains(explain(err), "started anew") {
		t.Errorf("of another one in its place: %v", err)
	}
	pretend(t, dir, addresses{Admin: at})
	if _ = ask(); asked.Load() != 2 {
		t.Errorf("of one that has started at the same address: asked %d times", asked.Load())
	}
}

// TestAddresses_HealthOfWhoStarts: until a node has written where it is, probes go by what it is
// configured with, not by what the one before has left.
func TestAddresses_HealthOfWhoStarts(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(api.Readiness{Ready: true})
	}))
	defer s.Close()
	dir := t.TempDir()
	pretend(t, dir, addresses{Admin: "127.0.0.1:1"})()
	for _, flag := range []string{"--admin-listen=", "--health-listen="} {
		if code, out, errs := tool("health", "--data-dir="+dir, flag+strings.TrimPrefix(s.URL, "http://")); code != exitOK || out != "ready\n" {
			t.Errorf("%s: exit code %d, %q", flag, code, errs)
		}
	}
}
