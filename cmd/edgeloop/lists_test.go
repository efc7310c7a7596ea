package main

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestWatchFiles_Lists: a list that has changed is read again, once; one with a mistake
// leaves the one before in force, says so once, and a better one is read after it.
func TestWatchFiles_Lists(t *testing.T) {
	deny := filepath.Join(t.TempDir(), "deny")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(deny+".new", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(deny+".new", deny); err != nil {
			t.Fatal(err)
		}
	}
	write("192.0.2.1\n")
	synctest.Test(t, func(t *testing.T) {
		core, lines := observer.New(zap.InfoLevel)
		n := &node{cfg: &serveCmd{DenyCIDRs: deny}, turn: make(chan struct{}, 1), log: &logging{Logger: zap.New(core)}, started: time.Now()}
		if _, err := n.startDoorman(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go n.watchFiles(ctx, n.fileWatches())
		mayCome := n.doorman()
		for i, c := range []struct{ text, denied, says string }{
			{"", "192.0.2.1", ""},
			{"192.0.2.2\n", "192.0.2.2", "were read again"},
			{"192.0.2.3/33\n", "192.0.2.2", "cannot use the changed"},
			{"192.0.2.4\n", "192.0.2.4", "were read again"},
		} {
			if c.text != "" {
				write(c.text)
			}
			time.Sleep(10 * filesEvery)
			synctest.Wait()
			for _, addr := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"} {
				if denied := mayCome(netip.MustParseAddr(addr)) != 0; denied != (addr == c.denied) {
					t.Errorf("step %d: %s is denied: %v", i, addr, denied)
				}
			}
			said := 0
			for _, line := range lines.TakeAll() {
				if strings.Contains(line.Message, "lists of networks") {
					said++
					if c.says == "" || !strings.Contains(line.Message, c.says) {
						t.Errorf("step %d: it says %s", i, line.Message)
					}
				}
			}
			if (said == 1) != (c.says != "") {
				t.Errorf("step %d: %d lines, want one or none", i, said)
			}
		}
	})
}

// TestTurned_Say: of all who are turned away one line in ten seconds names one, and how many
// it leaves out.
func TestTurned_Say(t *testing.T) {
	core, lines := observer.New(zap.InfoLevel)
	var turned turned
	for i := range 25 { // one a second
		turned.say(zap.New(core), time.Duration(i+1)*time.Second, "address may not connect", netip.MustParseAddr("192.0.2.1"))
	}
	all := lines.TakeAll()
	if len(all) != 3 || all[2].ContextMap()["unsaid"] != uint64(9) {
		t.Errorf("%d lines, the last: %v", len(all), all[len(all)-1])
	}
}
