package e2e_test

import (
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
)

// Mallory waits for a node to be killed, and listens where its admin API was. The file with its
// addresses is still there; no tool shows him the token.
func TestTool_NodeWasKilled(t *testing.T) {
	t.Parallel()
	n := start(t)
	n.tool("devices")
	n.kill()
	if _, err := os.Stat(filepath.Join(n.dir, "node.json")); err != nil {
		t.Fatalf("nothing was left behind: %v", err)
	}
	ln, err := net.Listen("tcp", n.admin)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	var asked atomic.Int32
	go func() {
		for c, err := ln.Accept(); err == nil; c, err = ln.Accept() {
			asked.Add(1)
			_ = c.Close()
		}
	}()
	for _, verb := range []string{"devices", "node", "tail"} {
		if out, errs, code := n.run(verb, "--data-dir", n.dir); code != 1 || out != "" || !containsAll(errs, "no node runs", "has ended", "--admin-url") {
			t.Errorf("%s: exit code %d, %q, %q", verb, code, out, errs)
		}
	}
	if got := asked.Load(); got != 0 {
		t.Errorf("somebody else was asked %d times", got)
	}
}
