package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/grpc/codes"

	v1 "edgeloop/api/edgeloop/v1"
	"edgeloop/bench/fault/faults"
	"edgeloop/internal/testkit"
)

// A service goes away, takes nothing, may not any more, is cut off; the node reloads; the service
// goes back to the beginning. A device goes on meanwhile: after each all that was acknowledged to
// it has come, in order, and what comes twice has the position of the first time.
func TestGRPC_WhateverHappensToTheService(t *testing.T) {
	t.Parallel()
	n := startGRPC(t)
	way, err := faults.NewProxy(freeAddr(t), n.grpc)
	if err != nil {
		t.Fatal(err)
	}
	defer way.Close()
	s := (&grpcNode{node: n.node, grpc: way.Addr()}).subscribeBy(n.newToken("lake", "--scope=read"), "lake")
	d := upgradeRaw(t, n.node, "?device=d1", "")
	reload := func() {
		if code, answer := n.api("POST", "/v1/reload", nil); code != 200 {
			t.Fatalf("reload: %d %v", code, answer)
		}
	}
	ends := func() error { return testkit.Receive(t, patience, "the end of the reading", s.ended) }
	put := func(tokens []byte) {
		if err := os.WriteFile(filepath.Join(n.dir, "admin.tokens"), tokens, 0o600); err != nil {
			t.Fatal(err)
		}
		reload()
	}
	tokens, err := os.ReadFile(filepath.Join(n.dir, "admin.tokens"))
	if err != nil {
		t.Fatal(err)
	}
	full, seq := errors.New("no room"), uint64(0)
	for _, c := range []struct {
		what       string
		begin, end func()
	}{
		{"nothing", func() {}, func() {}},
		{"it restarts", s.stop, s.start},
		{"it takes nothing", func() { s.refuse(full) }, func() {
			if err := ends(); err != full { //nolint:errorlint // exactly that
				t.Errorf("it ended with %v", err)
			}
			s.refuse(nil)
			s.start()
		}},
		{"its token is taken away", func() { put(nil); want(t, ends(), codes.Unauthenticated) }, func() { put(tokens); s.start() }},
		{"the way to the node is cut", way.Shut, func() {
			if err := way.Open(); err != nil {
				t.Fatal(err)
			}
		}},
		{"the way to the node is dead", func() { way.Hold(true) }, func() { way.Hold(false) }},
		{"the node reloads", reload, func() {}},
	} {
		c.begin()
		for range 10 {
			seq++
			d.say(frame(fin|opText, fmt.Sprintf(`{"type":"telemetry","seq":%d,"data":%d}`, seq, seq)))
			d.wantText("ack")
		}
		c.end()
		s.waitFor(map[string]uint64{"d1": seq})
		if t.Failed() {
			t.Fatalf("after: %s", c.what)
		}
	}
	s.stop()
	beginning := &v1.SeekRequest{Reader: "lake", To: &v1.SeekRequest_Start{Start: v1.Start_START_OLDEST}}
	if _, err := s.client.Log().Seek(context.Background(), beginning); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	before := s.twice
	s.mu.Unlock()
	s.start()
	testkit.Eventually(t, patience, "all to come again", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.twice >= before+int(seq) //nolint:gosec // a few
	})
	s.stop()
	d.Close()
	n.stop()
}
