package eventloop

import (
	"net"
	"net/netip"
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
	if n := b.inside.Load(); n != 0 || len(b.sending.of)+len(b.refused.of) != 0 || b.sending.oldest != nil || b.refused.newest != nil {
		t.Errorf("%d inside, %d addresses and some in a line when all have left", n, len(b.sending.of)+len(b.refused.of))
	}
}

// On a machine that needs long for a TLS handshake, those that it has worked for are not sent
// away for newcomers: nearly every turn of a worker lets somebody in, and who says nothing
// gives way first. Without that, no peer that needs 100 ms for its answer got in at all. A
// fleet behind one address has the same, although most of it are more than its share, also
// where its answers take longer than servedLeast.
func TestLobby_WorkIsNotLost(t *testing.T) {
	for _, answer := range []time.Duration{100 * time.Millisecond, servedLeast + 50*time.Millisecond} {
		t.Run("many addresses, "+answer.String(), func(t *testing.T) {
			workIsNotLost(t, answer, func(n int) net.IP { return net.IPv4(127, 0, byte(n>>8), byte(n)) })
		})
		t.Run("one address, "+answer.String(), func(t *testing.T) {
			workIsNotLost(t, answer, func(int) net.IP { return net.IPv4(127, 0, 0, 1) })
		})
	}
}

func workIsNotLost(t *testing.T, answer time.Duration, ipOf func(n int) net.IP) {
	t.Helper()
	const most, step, turn = 64, time.Millisecond, 20 * time.Millisecond
	var b lobby
	b.init(most, most/8)
	start := time.Now()
	var stack []*Conn // those that wait for the worker: the newest is next
	served := map[*Conn]time.Time{}
	var at *Conn
	var until time.Time
	var came, turns, in int
	for now := start; now.Before(start.Add(10 * time.Second)); now = now.Add(step) {
		for b.inside.Load() < most {
			c := &Conn{}
			came++
			b.enter(c, &net.TCPAddr{IP: ipOf(came), Port: 1}, now)
			if came%4 != 0 { // else it is silent
				b.serve(c, 0, now)
				stack = append(stack, c)
			}
		}
		if at != nil && !now.Before(until) {
			b.serve(at, turn, now)
			served[at], at = now, nil
			turns++
		}
		for c, since := range served {
			if now.Sub(since) >= answer {
				delete(served, c)
				if b.guests[c] != nil {
					in++
					b.leave(c)
				}
			}
		}
		for at == nil && len(stack) > 0 {
			c := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if b.guests[c] != nil {
				at, until = c, now.Add(turn)
			}
		}
		if now.Sub(start)%crowdPause == 0 {
			for _, c := range b.crowdedOut(now) {
				b.leave(c)
			}
		}
	}
	if turns < 400 || in < turns*9/10 {
		t.Errorf("%d of %d peers got in, by %d turns of the worker", in, came, turns)
	}
}

// What a worker does for a guest counts twice, and no more often: who sends his handshake in
// many pieces goes like the others, and so does who sends nothing behind the first.
func TestLobby_ServedGiveWayToo(t *testing.T) {
	var b lobby
	b.init(1, 1)
	now := time.Now()
	c := &Conn{}
	b.enter(c, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}, now)
	for range 2 * servedTurns {
		b.serve(c, time.Millisecond, now)
		now = now.Add(servedLeast - time.Millisecond)
	}
	if out := b.crowdedOut(now); len(out) != 1 {
		t.Error("it keeps its place")
	}
	b.serve(c, time.Millisecond, now)
	if b.guests[c].in != nil {
		t.Error("it is in a line although it was asked to go")
	}
	b.leave(c)
	b.cost = time.Hour
	if p := b.patienceLocked(1); p != servedMost {
		t.Errorf("%v for those that a worker served", p)
	}
}

// One address does not hold the lobby by ClientHellos: when it has more than its share in the
// hands of workers, the excess gives way as soon as its share could have been served, and nobody else
// does, wherever they stand in the line.
func TestLobby_ServedOfOneAddress(t *testing.T) {
	const most, share, proxy = 8, 2, 'p'
	const quick, slow = servedLeast / 5, time.Second / 4 // turns: the share could have been served sooner, or not
	for _, c := range []struct {
		what  string
		line  string // a letter for the address of each
		turn  time.Duration
		after time.Duration
		stay  string
	}{
		{"the excess goes, and nobody else", "abaaacaa", quick, servedLeast, "bcaa"},
		{"of two addresses", "abababab", quick, servedLeast, "abab"},
		{"not before its time", "abaaacaa", quick, servedLeast - time.Nanosecond, "abaaacaa"},
		{"its share stays", "aabbccdd", quick, servedLeast, "aabbccdd"},
		{"a proxy has no share", "pppppppp", quick, servedLeast, "pppppppp"},
		{"a slow worker could not have served the share", "abaaacaa", slow, 2*share*slow - time.Nanosecond, "abaaacaa"},
		{"a slow worker could have served the share", "abaaacaa", slow, 2 * share * slow, "bcaa"},
		{"a slow worker could have served all", "abcdabcd", slow, 2 * most * slow, ""},
	} {
		t.Run(c.what, func(t *testing.T) {
			var b lobby
			b.init(most, share)
			b.proxies = func(a netip.Addr) bool { return a == netip.AddrFrom4([4]byte{127, 0, 0, proxy}) }
			now, names := time.Now(), map[*Conn]rune{}
			b.cost = c.turn
			for _, name := range c.line {
				conn := &Conn{}
				names[conn] = name
				b.enter(conn, &net.TCPAddr{IP: net.IPv4(127, 0, 0, byte(name)), Port: 1}, now)
				b.serve(conn, 0, now)
			}
			for range most { // a quarter of the places at a time
				b.crowdedOut(now.Add(c.after))
			}
			stay := ""
			for g := b.served.oldest; g != nil; g = g.next {
				stay += string(names[g.conn])
			}
			if stay != c.stay {
				t.Errorf("of %s there stay %q, want %q", c.line, stay, c.stay)
			}
			for conn := range names {
				b.leave(conn)
			}
			if len(b.served.of) != 0 {
				t.Errorf("%v are counted when all have left", b.served.of)
			}
		})
	}
}
