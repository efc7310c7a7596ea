package eventloop_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

const tick = 20 * time.Millisecond

// However the request is cut, it is answered once and rightly.
func TestHandshake_InPieces(t *testing.T) {
	n := serve(t, eventloop.Config{}, echoing())
	t.Run("cut once at every byte", func(t *testing.T) {
		for at := 1; at < len(request); at += 7 {
			d := n.dial()
			d.raw([]byte(request[:at]))
			n.begun()
			d.raw([]byte(request[at:]))
			d.wantSwitch()
			d.send(ping("x"))
			d.want(pong("x"))
			d.conn.Close()
		}
	})
	t.Run("one byte a write", func(t *testing.T) {
		d := n.dial()
		for i := range len(request) {
			d.raw([]byte(request[i : i+1]))
		}
		d.wantSwitch()
		d.send(text("hello"))
		d.want(text("hello"))
	})
}

// begun waits until some handshake is begun and not over.
func (n *node) begun() {
	n.t.Helper()
	testkit.Eventually(n.t, patience, "the handshake to be begun", func() bool { return n.Stats().Handshakes > 0 })
}

// A client need not wait for the 101 before it sends frames.
func TestHandshake_PipelinedFrames(t *testing.T) {
	n := serve(t, eventloop.Config{}, echoing())
	t.Run("in the same write", func(t *testing.T) {
		d := n.dial()
		d.raw(append([]byte(request), wire(text("a"), ping("b"), bin([]byte("c")))...))
		d.wantSwitch()
		d.want(text("a"), pong("b"), bin([]byte("c")))
	})
	t.Run("cut inside the frames", func(t *testing.T) {
		d := n.dial()
		frames := wire(text("hello"))
		d.raw(append([]byte(request), frames[:5]...))
		d.wantSwitch()
		d.raw(frames[5:])
		d.want(text("hello"))
	})
	t.Run("a header in pieces, and a whole read buffer behind it", func(t *testing.T) {
		d := n.dial()
		d.raw([]byte(request[:40]))
		n.begun()
		big := bin(bytes.Repeat([]byte("x"), 60_000))
		all := append([]byte(request[40:]), wire(big, big, text("end"))...)
		done := make(chan struct{})
		go func() { defer close(done); _, _ = d.conn.Write(all) }()
		d.wantSwitch()
		d.want(big, big, text("end"))
		<-done
	})
}

// The decision may take its time on another goroutine; what the client sends
// meanwhile is not read, and not lost.
func TestHandshake_Deferred(t *testing.T) {
	accept, ch := deciding()
	n := serve(t, eventloop.Config{}, accept)
	t.Run("admitted", func(t *testing.T) {
		d := n.dial()
		d.raw(append([]byte(request), wire(text("early"))...))
		cand := testkit.Receive(t, patience, "the candidate", ch)
		if got := string(cand.h.Path); got != "/" {
			t.Errorf("path %q", got)
		}
		d.send(text("earlier than admitted"))
		testkit.Eventually(t, patience, "the second frame to wait in the kernel", func() (waits bool) {
			eventloop.OnLoop(cand.c, func() { waits = eventloop.Unread(cand.c) })
			return waits
		})
		if held := eventloop.Held(cand.c); held != len(wire(text("early"))) {
			t.Errorf("%d bytes are held, want the frame that came with the header block", held)
		}
		cand.h.Admit(n.track(&ears{receive: cand.c.WriteOnLoop}))
		d.wantSwitch()
		d.want(text("early"), text("earlier than admitted"))
	})
	t.Run("refused", func(t *testing.T) {
		d := n.dial()
		d.raw([]byte(request))
		cand := testkit.Receive(t, patience, "the candidate", ch)
		if eventloop.Deaf(cand.c) {
			t.Error("what epoll reports was changed for a peer that says nothing")
		}
		cand.h.Refuse(&eventloop.Refusal{Reason: eventloop.ReasonUnauthorized, Text: "who are you"})
		d.wantStatus(http.StatusUnauthorized)
		d.wantEnd()
	})
	t.Run("flooded meanwhile: TCP holds the peer back, nothing is lost", func(t *testing.T) {
		const messages = 400
		d := n.dial()
		d.raw([]byte(request))
		cand := testkit.Receive(t, patience, "the candidate", ch)
		flood := make(chan error, 1)
		go func() {
			for i := range messages {
				if _, err := d.conn.Write(wire(bin(numbered(i, 16<<10)))); err != nil {
					flood <- err
					return
				}
			}
			flood <- nil
		}()
		testkit.Eventually(t, patience, "the flood to come in", func() (waits bool) {
			eventloop.OnLoop(cand.c, func() { waits = eventloop.Unread(cand.c) })
			return waits
		})
		if held := eventloop.Held(cand.c); held > oneRead {
			t.Errorf("%d bytes are held for a connection that nobody has admitted, more than one read brings", held)
		}
		var next int
		got := make(chan string, 1)
		cand.h.Admit(n.track(&ears{receive: func(_ eventloop.Kind, p []byte) {
			if !bytes.Equal(p, numbered(next, 16<<10)) && len(got) == 0 {
				got <- fmt.Sprintf("message %d is not what was sent", next)
			}
			if next++; next == messages && len(got) == 0 {
				got <- ""
			}
		}}))
		d.wantSwitch()
		if err := testkit.Receive(t, patience, "the flood", flood); err != nil {
			t.Fatal(err)
		}
		if msg := testkit.Receive(t, patience, "the last message", got); msg != "" {
			t.Error(msg)
		}
	})
}

// oneRead is as much as a loop reads of a connection at once.
const oneRead = 64 << 10

// numbered is a message of size bytes that differs from all others.
func numbered(i, size int) []byte {
	b := bytes.Repeat([]byte{byte(i), byte(i >> 8), 0xA5}, size/3+1)
	return b[:size]
}

// A connection may be lost while its handshake is being decided. Its Receiver
// still hears that it is over, once (tracked checks that).
func TestHandshake_LostWhilePending(t *testing.T) {
	for _, c := range []struct {
		name string
		lose func(d *dialogue, c *eventloop.Conn)
		want eventloop.Cause
	}{
		{"the peer hangs up", func(d *dialogue, _ *eventloop.Conn) { d.conn.Close() }, eventloop.CausePeerGone},
		{"the peer resets", func(d *dialogue, _ *eventloop.Conn) { d.reset() }, eventloop.CausePeerGone},
		{"this side closes", func(_ *dialogue, c *eventloop.Conn) { c.Close(4409, "replaced") }, eventloop.CauseClosed},
		{"the decision takes too long", func(*dialogue, *eventloop.Conn) {}, eventloop.CauseHandshakeTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			within := time.Hour
			if c.want == eventloop.CauseHandshakeTimeout {
				within = 50 * tick
			}
			accept, ch := deciding()
			n := serve(t, eventloop.Config{Tick: tick, HandshakeTimeout: within}, accept)
			d, cand, missed := n.candidate(ch)
			c.lose(d, cand.c)
			n.gone(c.want, missed+1)
			gone := make(chan *eventloop.Gone, 1)
			cand.h.Admit(n.track(&ears{closed: func(g *eventloop.Gone) { gone <- g }}))
			if g := testkit.Receive(t, patience, "Closed", gone); g.Cause != c.want {
				t.Errorf("cause %s, want %s", g.Cause, c.want)
			}
			if err := send(cand.c, text("x")); err == nil {
				t.Error("Send to a connection that is gone returned no error")
			}
		})
	}
	t.Run("a refusal that comes too late is nothing", func(t *testing.T) {
		accept, ch := deciding()
		n := serve(t, eventloop.Config{Tick: tick, HandshakeTimeout: time.Hour}, accept)
		d := n.dial()
		d.raw([]byte(request))
		cand := testkit.Receive(t, patience, "the candidate", ch)
		d.conn.Close()
		n.gone(eventloop.CausePeerGone, 1)
		cand.h.Refuse(&eventloop.Refusal{Reason: eventloop.ReasonUnauthorized})
		n.dial().raw([]byte(request))
		testkit.Receive(t, patience, "another candidate", ch)
	})
}

// A peer that says nothing, or says it byte by byte, is let go in time.
func TestHandshake_Timeout(t *testing.T) {
	n := serve(t, eventloop.Config{Tick: tick, HandshakeTimeout: 5 * tick}, echoing())
	t.Run("silence", func(t *testing.T) {
		began := time.Now()
		n.dial().wantGone()
		// A tick that comes late counts for two at the most, one of them from before.
		if took := time.Since(began); took < 3*tick {
			t.Errorf("let go after %s, the timeout is %s", took, 5*tick)
		}
	})
	t.Run("slowloris: traffic does not prolong it", func(t *testing.T) {
		d := n.dial()
		drip := time.NewTicker(tick / 2)
		defer drip.Stop()
		header := "GET / HTTP/1.1\r\nHost: node\r\nX-Slow: " + strings.Repeat("a", 8000)
		deadline := time.Now().Add(patience)
		for i := 0; ; i++ {
			<-drip.C
			if _, err := d.conn.Write([]byte{header[i]}); err != nil {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal("still connected")
			}
		}
	})
	testkit.Eventually(t, patience, "both to be counted", func() bool { return n.Stats().HandshakeTimeouts == 2 })
	var d *dialogue
	testkit.Eventually(t, patience, "somebody to be quick enough", func() bool { d = n.tryOpen(); return d != nil })
	d.send(ping("still here"))
	d.want(pong("still here"))
}

// Bad requests get an HTTP answer that arrives whole, though the peer may have
// sent more than was read.
func TestHandshake_Refused(t *testing.T) {
	n := serve(t, eventloop.Config{}, func(c *eventloop.Conn, h *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
		if string(h.Path) != "/" {
			return nil, &eventloop.Refusal{Reason: eventloop.ReasonNotFound, Text: "nothing here"}
		}
		return &ears{receive: c.WriteOnLoop}, nil
	})
	for _, c := range []struct {
		name, request string
		status        int
	}{
		{"an oversize header", "GET / HTTP/1.1\r\nHost: node\r\nX: " + strings.Repeat("a", 9000) + "\r\n\r\n", 431},
		{"an oversize header without an end", "GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 100_000), 431},
		{"too many headers", "GET / HTTP/1.1\r\nHost: node\r\n" + strings.Repeat("X: y\r\n", 100) + "\r\n", 431},
		{"a bare line feed", strings.ReplaceAll(request, "\r\n", "\n"), 400},
		{"no upgrade", "GET / HTTP/1.1\r\nHost: node\r\n\r\n", 426},
		{"another path", strings.Replace(request, "GET / ", "GET /nowhere ", 1), 404},
		{"POST", strings.Replace(request, "GET ", "POST ", 1), 405},
		{"noise", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := n.dial()
			d.raw([]byte(c.request))
			d.wantStatus(c.status)
			d.wantEnd()
		})
	}
	if got := n.Stats().Refused; got != 8 {
		t.Errorf("%d refusals were counted, want 8", got)
	}
}

// A full node says so, when to come back, and takes newcomers again as soon as
// somebody has left.
func TestHandshake_Full(t *testing.T) {
	n := serve(t, eventloop.Config{MaxConnections: 3, RetryAfter: 7 * time.Second}, echoing())
	devices := []*dialogue{n.open(), n.open(), n.open()}
	for range 4 {
		d := n.dial()
		d.raw([]byte(request))
		h := d.wantStatus(http.StatusServiceUnavailable)
		if s, err := strconv.Atoi(h.Get("Retry-After")); err != nil || s < 7 || s > 14 {
			t.Errorf("Retry-After is %q, want 7 to 14", h.Get("Retry-After"))
		}
		d.wantEnd()
		d.conn.Close()
	}
	for _, d := range devices {
		d.send(ping("x"))
		d.want(pong("x"))
	}
	devices[0].send(closing(1000, ""))
	devices[0].wantClosed(1000)
	n.gone(eventloop.CausePeerClosed, 1)
	n.open()
	n.SetMaxConnections(5)
	n.open()
}

// Whatever follows a header block stays in the kernel until its sender is
// admitted, but for what came with the same read; and of who is refused it goes.
func TestHandshake_NothingIsKeptOfTheRefused(t *testing.T) {
	const behind = 128 << 10
	accept, ch := deciding()
	n := serve(t, eventloop.Config{Loops: 1}, accept)
	for i := range 6 {
		d := n.dial()
		block, later := []byte(request), make([]byte, behind)
		if i%2 == 0 { // together with the block; else when that was read
			block, later = append(block, later...), nil
		}
		d.raw(block)
		cand := testkit.Receive(t, patience, "the candidate", ch)
		d.raw(later)
		testkit.Eventually(t, patience, "the rest to wait in the kernel", func() (waits bool) {
			eventloop.OnLoop(cand.c, func() { waits = eventloop.Unread(cand.c) })
			return waits
		})
		if held := eventloop.Held(cand.c); held > oneRead {
			t.Errorf("%d bytes are held, more than one read brings", held)
		}
		cand.h.Refuse(&eventloop.Refusal{Reason: eventloop.ReasonUnauthorized, Text: "who are you"})
		d.wantStatus(http.StatusUnauthorized)
		if held := eventloop.Held(cand.c); held != 0 {
			t.Errorf("%d bytes are held of who was refused", held)
		}
		d.conn.Close()
	}
}

// A handshake that is not decided in time is answered before it is cut.
func TestHandshake_UndecidedInTimeIsToldSo(t *testing.T) {
	accept, ch := deciding()
	n := serve(t, eventloop.Config{Tick: tick, HandshakeTimeout: 50 * tick}, accept)
	d, cand, missed := n.candidate(ch)
	if h := d.wantStatus(http.StatusServiceUnavailable); h.Get("Retry-After") == "" {
		t.Error("it is not told when to come again")
	}
	d.conn.Close()
	n.gone(eventloop.CauseHandshakeTimeout, missed+1)
	cand.h.Admit(n.track(&ears{})) // the decision comes too late; tracked checks that it hears so
	if got := n.Stats().HandshakeTimeouts; got != missed+1 {
		t.Errorf("%d timeouts are counted, want %d", got, missed+1)
	}
}
