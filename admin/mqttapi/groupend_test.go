package mqttapi_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"edgeloop/admin/mqttapi"
	"edgeloop/backbone"
	"edgeloop/internal/testkit"
)

// badLog is a log that cannot keep the place of a group when it is told so, once, and holds up who
// writes down a session.
type badLog struct {
	mqttapi.Log

	fails atomic.Bool
	holds atomic.Pointer[chan struct{}] // until it is closed; nil: nobody
	held  atomic.Bool                   // somebody was
}

func (l *badLog) Open(ctx context.Context, name string, start backbone.Start) (mqttapi.Reader, error) {
	r, err := l.Log.Open(ctx, name, start)
	return &badReader{r, l, strings.HasPrefix(name, "mqttshare:")}, err
}

type badReader struct {
	mqttapi.Reader

	log     *badLog
	ofGroup bool
}

func (r *badReader) Keep(ctx context.Context, position uint64) error {
	if r.ofGroup && r.log.fails.CompareAndSwap(true, false) {
		return errors.New("the disk is full")
	}
	return r.Reader.Keep(ctx, position)
}

func (r *badReader) Note(ctx context.Context, note string) error {
	if until := r.log.holds.Load(); until != nil {
		r.log.held.Store(true)
		<-*until
	}
	return r.Reader.Note(ctx, note)
}

// A group that has failed takes nobody any more, however long one of its members takes to leave:
// who comes again gets what comes, in another group of that name.
func TestGroup_AfterAFailure(t *testing.T) {
	t.Parallel()
	bad := new(badLog)
	n := startWith(t, t.TempDir(), mqttapi.Config{}, func(l mqttapi.Log) mqttapi.Log { bad.Log = l; return bad })
	late := n.member(hello{id: "late", expiry: 3600}, 1, true)
	back := n.member(hello{id: "back", clean: true}, 1, true)
	hear(t, n.addMany("t/x", 1, someDevices...), late, back)
	until := make(chan struct{})
	bad.holds.Store(&until)
	release := func() {
		if bad.holds.Swap(nil) != nil {
			close(until)
		}
	}
	t.Cleanup(release) // before that of the node
	bad.fails.Store(true)
	n.add("acme", "a", "t/x", "with which it fails")
	testkit.Eventually(t, patience, "the group to fail", func() bool { return !bad.fails.Load() })
	for _, e := range []*ear{late, back} {
		for range e.heard { // until the node ends it
		}
	}
	back = n.member(hello{id: "back", clean: true}, 1, true)
	hear(t, n.addMany("t/y", 2, someDevices...), back)
	release()
	late = n.member(hello{id: "late", expiry: 3600}, 1, true)
	hear(t, n.addMany("t/z", 2, someDevices...), back, late)
}

// A group is no further ahead of a message that a member holds than may be, and goes on when that
// is another's.
func TestGroup_HeldBack(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{MaxGroupAhead: 20, GroupHold: time.Hour})
	mute := n.member(hello{id: "mute", clean: true, receive: 1}, 1, false)
	first := n.addMany("t/x", 1, "first")
	hear(t, first, mute)
	quick := n.member(hello{id: "quick", clean: true}, 1, true)
	all := n.addMany("t/x", 6, someDevices...)
	testkit.Eventually(t, patience, "the group to be held back", func() bool { return n.apps.Stats().HeldBack == 1 })
	hear(t, all[:20], quick)
	_ = mute.conn.Close()
	hear(t, append(first, all[20:]...), quick)
	testkit.Eventually(t, patience, "the group to go on", func() bool { return n.apps.Stats().HeldBack == 0 })
}
