package eventloop

import (
	"net"
	"testing"
	"time"
)

// Silent newcomers from as many addresses as they like do not hold the lobby for a
// whole second each: the longer there is no room, the sooner they give way, the
// oldest first, and when there was room they have their time again.
func TestLobby_HurriesWhileThereIsNoRoom(t *testing.T) {
	const most, step = 16, 10 * time.Millisecond
	var b lobby
	b.init(most, most)
	now := time.Now()
	came := map[*Conn]int{}
	gone := 0
	fill := func() {
		for b.inside.Load() < most {
			c := &Conn{}
			came[c] = len(came)
			b.enter(c, &net.TCPAddr{IP: net.IPv4(127, 0, byte(len(came)>>8), byte(len(came))), Port: 1}, now)
		}
	}
	look := func(span time.Duration) int {
		before := gone
		for end := now.Add(span); now.Before(end); now = now.Add(step) {
			out := b.crowdedOut(now)
			if len(out) > most/4 {
				t.Fatalf("%d of %d are to go at once", len(out), most)
			}
			for _, c := range out {
				if came[c] != gone {
					t.Fatalf("number %d is to go before number %d", came[c], gone)
				}
				gone++
				b.leave(c)
			}
			fill()
		}
		return gone - before
	}
	fill()
	look(helloGrace)
	if n := look(helloGrace); n < 8*most {
		t.Errorf("%d gave way in a second, of %d places", n, most)
	}
	for c := range b.guests {
		b.leave(c)
	}
	now, gone = now.Add(2*helloGrace), len(came)
	fill()
	if n := look(crowdGrace / 2); n > 0 {
		t.Errorf("%d did not have their time after there was room", n)
	}
}

// A guest in no line is not asked to go: not twice, not while it is decided, and
// not when it has left.
func TestLobby_LinesKeepWhoIsToGo(t *testing.T) {
	var b lobby
	b.init(4, 4)
	now := time.Now()
	cs := []*Conn{{}, {}, {}, {}}
	for i, c := range cs {
		b.enter(c, &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(1+i)), Port: 1}, now)
	}
	b.move(cs[1], stageDecided, now)
	b.move(cs[2], stageDecided, now)
	b.move(cs[2], stageLingering, now)
	now = now.Add(2 * helloGrace)
	for i, want := range []*Conn{cs[2], cs[0], cs[3]} { // the refused first
		if out := b.crowdedOut(now); len(out) != 1 || out[0] != want {
			t.Fatalf("as number %d there go %d, or another", i, len(out))
		}
	}
	if out := b.crowdedOut(now); len(out) != 0 {
		t.Errorf("%d are asked who are decided or were asked", len(out))
	}
	for _, c := range cs {
		b.leave(c)
	}
	if n := b.inside.Load(); n != 0 || len(b.hellos) != 0 || b.sending.oldest != nil || b.refused.newest != nil {
		t.Errorf("%d inside, %d addresses and some in a line when all have left", n, len(b.hellos))
	}
}
