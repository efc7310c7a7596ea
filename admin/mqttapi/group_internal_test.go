package mqttapi

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"edgeloop/backbone/store"
	"edgeloop/mqttproto"
)

// newTestGroup is a group that nothing reads for.
func newTestGroup(cfg Config) *group {
	g, _ := New(cfg).groupOf("acme", "g/t/#")
	return g
}

// takesNone is a client that every message is too large for.
func takesNone(id string) *client {
	return &client{id: id, peer: mqttproto.Peer{Version: mqttproto.V311, MaxPacket: 1}, window: newWindow(1)}
}

// A record is passed over as too large when that holds for everybody who is in the group: not when
// nobody is, nor for those who were when somebody else comes.
func TestGroup_TooLargeForAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newTestGroup(Config{})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		handed := make(chan error, 1)
		hand := func() { handed <- g.hand(ctx, 7, &mqttproto.Publish{Topic: []byte("t"), Payload: []byte("x")}) }
		passed := func(want uint64) {
			t.Helper()
			synctest.Wait()
			if large := g.s.Stats().TooLarge; large != want || g.place() != 7*want {
				t.Fatalf("%d are too large, the place is %d", large, g.place())
			}
		}
		go hand()
		passed(0)
		_, nobody := g.ranked(8)
		g.join(takesNone("one"), &subscription{})
		passed(1)
		if err := <-handed; err != nil {
			t.Fatal(err)
		}
		_, one := g.ranked(8)
		two := takesNone("two")
		g.join(two, &subscription{})
		_, both := g.ranked(8)
		g.leave(two)
		for _, changes := range []uint64{nobody, one, both} {
			if g.passLarge(8, changes) || g.place() != 7 {
				t.Error("it is passed over, and not all were asked who are there")
			}
		}
		if _, now := g.ranked(8); !g.passLarge(8, now) || g.place() != 8 {
			t.Error("it is not passed over, and all were asked")
		}
	})
}

// sweptLog has the places of three groups. A session that wants the first is there when the sweeper
// is about to forget it, and not before; the time of one that wants the third has just passed.
type sweptLog struct {
	Log

	s         *Server
	joinable  []string // groups that could be opened while they were forgotten
	forgotten []string
	looks     int
}

func (l *sweptLog) Places(_ context.Context, fn func(string, store.Place)) error {
	l.looks++
	fn(groupPlace("acme", "g/1"), store.Place{})
	fn(groupPlace("acme", "g/2"), store.Place{})
	fn(groupPlace("acme", "g/3"), store.Place{})
	back := session{Left: true, Subs: map[string]*subscription{"$share/g/3": {}}}
	fn(PlaceOf("acme", "back"), store.Place{Note: back.note()})
	if l.looks > 2 { // the groups, and who wants them
		kept := session{Expiry: neverExpires, Subs: map[string]*subscription{"$share/g/1": {}}}
		fn(PlaceOf("acme", "app"), store.Place{Note: kept.note()})
	}
	return nil
}

func (l *sweptLog) Forget(_ context.Context, name string) error {
	l.forgotten = append(l.forgotten, name)
	if _, ours := l.s.groupOf("acme", "g/2"); ours {
		l.joinable = append(l.joinable, name)
	}
	return nil
}

// The sweeper does not forget the place of a group that is wanted by then, and who joins one while
// its place is forgotten waits until that is done.
func TestGroup_WantedWhileSwept(t *testing.T) {
	t.Parallel()
	l := new(sweptLog)
	l.s = New(Config{Log: l})
	l.s.clients[PlaceOf("acme", "back")] = new(client)
	if err := l.s.sweepGroups(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []string{groupPlace("acme", "g/2")}; !slices.Equal(l.forgotten, want) {
		t.Errorf("forgot %v, want %v", l.forgotten, want)
	}
	if len(l.joinable) > 0 {
		t.Errorf("%v could be opened while its place was forgotten", l.joinable)
	}
	for _, share := range []string{"g/1", "g/2", "g/3"} {
		if _, ours := l.s.groupOf("acme", share); !ours {
			t.Errorf("%s cannot be opened now", share)
		}
	}
}

// A group that is too far ahead of what a member holds waits until that is acknowledged, or the
// member is ended, which has held it for too long: then another is asked first.
func TestGroup_HeldTooLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newTestGroup(Config{MaxGroupAhead: 10, GroupHold: time.Minute})
		holds, quick := takesNone("holds"), takesNone("quick")
		holds.ctx, holds.end = context.WithCancelCause(t.Context())
		defer holds.end(nil)
		g.join(holds, &subscription{})
		g.join(quick, &subscription{})
		begin := func(position uint64, c *client) {
			g.begin(position, g.members[slices.IndexFunc(g.members, func(m *member) bool { return m.c == c })])
		}
		begin(5, holds)
		begin(7, holds)
		begin(9, quick)
		waited := make(chan error, 1)
		wait := func(position uint64) { waited <- g.holdBack(t.Context(), position) }
		done := func() {
			t.Helper()
			if err := <-waited; err != nil {
				t.Error(err)
			}
		}
		state := func(held int, ended uint64) {
			t.Helper()
			synctest.Wait()
			if st := g.s.Stats(); st.HeldBack != held || st.HeldTooLong != ended || (holds.ctx.Err() != nil) != (ended > 0) {
				t.Fatalf("%d held back, %d ended, the member %v", st.HeldBack, st.HeldTooLong, holds.ctx.Err())
			}
		}
		wait(15) // is not too far
		done()
		time.Sleep(50 * time.Second)
		go wait(16)
		state(1, 0)
		g.acknowledged(5)
		signal(g.room)
		state(0, 0)
		done()
		time.Sleep(time.Hour) // holds 7, and nobody waits for it
		state(0, 0)
		go wait(18)
		state(1, 1)
		if why := context.Cause(holds.ctx); !errors.Is(why, errHolds) {
			t.Errorf("it was ended by %v", why)
		}
		g.leave(holds)
		g.join(holds, &subscription{}) // it comes again
		for i := range 50 {
			g.record.Device = strconv.Itoa(i)
			if members, _ := g.ranked(7); members[0].c != quick {
				t.Error("it is asked first for what it held")
			}
		}
		g.acknowledged(7) // by another
		signal(g.room)
		state(0, 1)
		done()
	})
}
