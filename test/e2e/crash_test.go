package e2e_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// fleet runs streamers side by side.
type fleet struct {
	t       *testing.T
	devices map[string]*streamer
	cancel  context.CancelFunc
	wg      sync.WaitGroup
}

// launch starts count streamers of total messages each, all at once. The node
// runs with --auth=none: a token for each device would take longer than the story.
func launch(t *testing.T, n *node, count int, total uint64, shape func(*streamer)) *fleet {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	f := &fleet{t: t, devices: map[string]*streamer{}, cancel: cancel}
	t.Cleanup(func() { cancel(); f.wg.Wait() })
	for i := range count {
		name := fmt.Sprintf("d%04d", i)
		s := &streamer{url: n.url("?device=" + name), total: total, pause: 50 * time.Millisecond}
		if shape != nil {
			shape(s)
		}
		f.devices[name] = s
	}
	for name, s := range f.devices {
		f.wg.Add(1)
		go func() {
			defer f.wg.Done()
			if err := s.run(ctx); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}()
	}
	return f
}

// acked is how much is acknowledged, in all and by device.
func (f *fleet) acked() (sum uint64, by map[string]uint64) {
	by = map[string]uint64{}
	for name, s := range f.devices {
		by[name] = s.acked.Load()
		sum += by[name]
	}
	return sum, by
}

// waitAcked waits until this much is acknowledged in all.
func (f *fleet) waitAcked(limit time.Duration, want uint64) {
	f.t.Helper()
	testkit.Eventually(f.t, limit, fmt.Sprintf("%d acknowledged messages", want), func() bool {
		sum, _ := f.acked()
		return sum >= want || f.t.Failed()
	})
}

// Thirty devices stream; the node is killed three times in mid-stream. What was
// acknowledged before a kill is in the log after it; each device resumes where
// the log ends; and in the end every sequence is there once, in order.
func TestCrash_KillInMidStream(t *testing.T) {
	t.Parallel()
	const devices, messages = 30, 400
	n := start(t, "--auth=none")
	f := launch(t, n, devices, messages, nil)
	for kills := uint64(1); kills <= 3; kills++ {
		f.waitAcked(patience, kills*devices*messages/5)
		_, before := f.acked()
		n.kill()
		n.boot()
		checkLog(t, n, before)
	}
	f.waitAcked(3*patience, devices*messages)
	_, after := f.acked()
	if records := checkLog(t, n, after); records != devices*messages {
		t.Errorf("the log has %d records, %d were sent", records, devices*messages)
	}
	n.stop()
	n.boot()
	checkLog(t, n, after)
	n.stop()
}
