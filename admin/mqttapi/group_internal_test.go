package mqttapi

import (
	"context"
	"testing"
	"testing/synctest"

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
		_, nobody := g.ranked()
		g.join(takesNone("one"), &subscription{})
		passed(1)
		if err := <-handed; err != nil {
			t.Fatal(err)
		}
		_, one := g.ranked()
		two := takesNone("two")
		g.join(two, &subscription{})
		_, both := g.ranked()
		g.leave(two)
		for _, changes := range []uint64{nobody, one, both} {
			if g.passLarge(8, changes) || g.place() != 7 {
				t.Error("it is passed over, and not all were asked who are there")
			}
		}
		if _, now := g.ranked(); !g.passLarge(8, now) || g.place() != 8 {
			t.Error("it is not passed over, and all were asked")
		}
	})
}
