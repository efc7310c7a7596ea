package e2e_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"

	"edgeloop/bench/fault/tricks"
	"edgeloop/internal/testkit"
)

// Each trick that we know is tried once at a node with all doors open, and comes to what it
// may. Afterwards the node serves, and has given everything back. What devices feel
// meanwhile is measured by make attacks.
func TestAttacks_EachTrickOnce(t *testing.T) {
	t.Parallel()
	n := prepare(t)
	addrs := []string{n.listen, n.admin}
	for range tricks.Addresses {
		addrs = append(addrs, freeAddr(t))
	}
	doors, flags, err := tricks.Fit(t.TempDir(), addrs, "own")
	if err != nil {
		t.Fatal(err)
	}
	n.flags = flags
	n.boot()
	before := descriptors(t, n)
	var wg sync.WaitGroup
	room := make(chan struct{}, 32)
	for i, trick := range tricks.All() {
		room <- struct{}{}
		wg.Go(func() {
			defer func() { <-room }()
			if got := trick.Run(context.Background(), doors, i); !trick.Wanted(got) {
				t.Errorf("%s (%s): %q, want %q", trick, trick.About, got, trick.Want)
			}
		})
	}
	wg.Wait()
	testkit.Eventually(t, patience, "the node to give descriptors back", func() bool { return descriptors(t, n) <= before+16 })
	c := startClient(t, "python")
	p := c.dial(order{URL: "ws://" + n.listen + "/v1/device", Protocols: []string{"edgeloop.v1.json"}, Headers: map[string]string{"Authorization": "Bearer " + doors.Token("innocent")}})
	p.want("open")
	p.wantMessage("welcome")
	p.send(message{"type": "telemetry", "seq": 1, "data": 1})
	p.wantAck(1)
	p.close()
	if log := n.log.String(); strings.Contains(log, "panic") || strings.Contains(log, "DATA RACE") {
		t.Errorf("the node says %s", log)
	}
}

func descriptors(t *testing.T, n *node) int {
	t.Helper()
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", n.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}
