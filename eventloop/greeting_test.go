package eventloop_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"edgeloop/eventloop"
	"edgeloop/internal/bytebuf"
	"edgeloop/internal/testkit"
)

// Greetings that only tests have. The first strips what PROXY would, the second lets
// nobody in, and the third is on the way of every byte, as TLS would be.

const prefix = "PROXY from 192.0.2.1\r\n"

type strip struct{}

func (strip) Step(wire []byte) (eventloop.Step, error) {
	n := bytes.IndexByte(wire, '\n') + 1
	switch {
	case n == 0 && len(wire) < 100:
		return eventloop.Step{}, nil
	case string(wire[:n]) != prefix:
		return eventloop.Step{Reply: []byte("who are you")}, errors.New("no prefix")
	}
	return eventloop.Step{Used: n, Over: true, Remote: netip.MustParseAddrPort("192.0.2.1:5")}, nil
}
func (strip) Seal(dst, plain []byte) []byte { return append(dst, plain...) }
func (strip) Goodbye(dst []byte) []byte     { return dst }
func (strip) Closed()                       {}

const mask = 0x5a

// cipher has a length before each piece of at most 100 bytes, and all of it masked.
type cipher struct{}

func (cipher) Step(wire []byte) (s eventloop.Step, err error) {
	if len(wire) == 0 || len(wire) < 1+int(wire[0]^mask) {
		return s, nil
	}
	s.Used = 1 + int(wire[0]^mask)
	s.Plain = wire[1:s.Used]
	masked(s.Plain)
	if len(s.Plain) > 100 {
		return s, errors.New("a piece is too long")
	}
	return s, nil
}
func (cipher) Seal(dst, plain []byte) []byte { return append(dst, sealed(plain)...) }
func (cipher) Goodbye(dst []byte) []byte     { return dst }
func (cipher) Closed()                       {}

func masked(b []byte) []byte {
	for i := range b {
		b[i] ^= mask
	}
	return b
}

func sealed(plain []byte) (wire []byte) {
	for len(plain) > 0 {
		n := min(len(plain), 100)
		wire = append(append(wire, byte(n)), plain[:n]...)
		masked(wire[len(wire)-n-1:])
		plain = plain[n:]
	}
	return wire
}

// opener reads what cipher has sealed.
type opener struct {
	from *bufio.Reader
	rest []byte
}

func (o *opener) Read(p []byte) (int, error) {
	if len(o.rest) == 0 {
		n, err := o.from.ReadByte()
		if err != nil {
			return 0, err
		}
		o.rest = make([]byte, n^mask)
		if _, err := io.ReadFull(o.from, o.rest); err != nil {
			return 0, err
		}
		masked(o.rest)
	}
	n := copy(p, o.rest)
	o.rest = o.rest[n:]
	return n, nil
}

func greeted(g eventloop.Greeting) []eventloop.Listener {
	return []eventloop.Listener{{Address: "127.0.0.1:0", Greet: func(*eventloop.Conn) eventloop.Greeting { return g }}}
}

// emptied wants all memory back once the connections are gone.
func emptied(t *testing.T, memory *bytebuf.Budget) {
	t.Helper()
	testkit.Eventually(t, patience, "all memory to be given back", func() bool { return memory.Used() == 0 })
}

// dialSealed connects to a cipher.
func (n *node) dialSealed() *dialogue {
	d := n.dial()
	d.r = bufio.NewReader(&opener{from: bufio.NewReader(d.conn)})
	return d
}

// However the bytes are cut, what is behind the prefix is the opening, and who comes is
// who the prefix says. Then the layer is gone.
func TestGreeting_IsStripped(t *testing.T) {
	memory := bytebuf.NewBudget(1<<20, nil)
	accept, cands := deciding()
	n := serve(t, eventloop.Config{Listeners: greeted(strip{}), Memory: memory}, accept)
	all := append([]byte(prefix+request), wire(text("early"))...)
	for _, cut := range []int{0, 1, len(prefix) - 1, len(prefix), len(prefix) + 1, len(prefix) + 40, len(prefix) + len(request), len(all) - 1} {
		before := n.Stats().BytesIn
		d := n.dial()
		if cut > 0 {
			d.raw(bytes.Clone(all[:cut]))
			testkit.Eventually(t, patience, "the first piece to be read", func() bool { return n.Stats().BytesIn == before+uint64(cut) })
		}
		d.raw(bytes.Clone(all[cut:]))
		cand := testkit.Receive(t, patience, "the candidate", cands)
		if got := cand.h.Remote.String(); got != "192.0.2.1:5" {
			t.Errorf("cut at %d: came from %s", cut, got)
		}
		if eventloop.Layered(cand.c) {
			t.Errorf("cut at %d: the layer is there still", cut)
		}
		cand.h.Admit(n.track(&ears{receive: cand.c.WriteOnLoop}))
		d.wantSwitch()
		d.want(text("early"))
		d.send(text("late"))
		d.want(text("late"))
		d.conn.Close()
	}
	emptied(t, memory)
}

// A refused peer hears why, in the words of the greeting, and nobody above hears of it.
func TestGreeting_Refuses(t *testing.T) {
	memory := bytebuf.NewBudget(1<<20, nil)
	n := serve(t, eventloop.Config{Listeners: greeted(strip{}), Memory: memory}, func(*eventloop.Conn, *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
		t.Error("somebody was accepted")
		return nil, &eventloop.Refusal{}
	})
	d := n.dial()
	d.raw([]byte("PR"))
	testkit.Eventually(t, patience, "the first piece to be read", func() bool { return n.Stats().BytesIn == 2 })
	d.raw([]byte("AWN\r\n" + request))
	d.patient()
	if said, err := io.ReadAll(d.r); err != nil || string(said) != "who are you" {
		t.Errorf("it says %q, %v", said, err)
	}
	d.conn.Close()
	n.gone(eventloop.CauseRefused, 1)
	if got := n.Stats().Refused; got != 1 {
		t.Errorf("%d refused", got)
	}
	emptied(t, memory)
}

// A layer that stays is on the way of every byte, in both directions.
func TestGreeting_Stays(t *testing.T) {
	memory := bytebuf.NewBudget(1<<20, nil)
	accept, conns, _ := reporting()
	n := serve(t, eventloop.Config{Listeners: greeted(cipher{}), Memory: memory}, accept)
	d := n.dialSealed()
	for _, b := range sealed([]byte(request)) { // byte by byte
		d.raw([]byte{b})
	}
	d.wantSwitch()
	c := testkit.Receive(t, patience, "the connection", conns)
	for _, size := range []int{8, 99, 100, 101, 10_000, 60_000} {
		f := bin(counted(size, size))
		d.raw(sealed(wire(f)))
		d.want(f)
		if err := send(c, f); err != nil {
			t.Fatal(err)
		}
		d.want(f)
	}
	if size := eventloop.SizeofConn; size > 96 {
		t.Errorf("a Conn has %d bytes", size)
	}
	d.raw(sealed(wire(closing(1000, ""))))
	d.want(closing(1000, ""))
	d.wantEnd()
	emptied(t, memory)
}

// What waits while reading is paused is what came over the wire; it is handed on with
// the resume, or when the connection ends.
func TestGreeting_PausedKeepsTheWire(t *testing.T) {
	for _, end := range []string{"resume", "reset", "close"} {
		t.Run(end, func(t *testing.T) {
			memory := bytebuf.NewBudget(1<<20, nil)
			heard := make(chan string, 8)
			conns := make(chan *eventloop.Conn, 1)
			n := serve(t, eventloop.Config{Listeners: greeted(cipher{}), Memory: memory}, admit(func(c *eventloop.Conn) eventloop.Receiver {
				conns <- c
				return &ears{receive: func(_ eventloop.Kind, p []byte) {
					heard <- string(p)
					if string(p) == "a" {
						c.PauseOnLoop()
					}
				}}
			}))
			d := n.dialSealed()
			d.raw(sealed([]byte(request)))
			d.wantSwitch()
			c := testkit.Receive(t, patience, "the connection", conns)
			tail := append(sealed(wire(text("c"))), sealed(wire(text("d")))...)
			d.raw(append(sealed(wire(text("a"), text("b"))), tail...))
			if got := testkit.Receive(t, patience, "a", heard); got != "a" {
				t.Fatalf("heard %q", got)
			}
			if got := eventloop.Wire(c); !bytes.Equal(got, tail) {
				t.Errorf("%x waits, want %x", got, tail)
			}
			if got := eventloop.Held(c); got != len(wire(text("b"))) {
				t.Errorf("%d plain bytes wait, want the rest of one piece", got)
			}
			switch end {
			case "resume":
				eventloop.OnLoop(c, c.ResumeOnLoop)
			case "reset":
				d.reset()
			case "close":
				c.Close(1008, "enough")
			}
			for _, want := range []string{"b", "c", "d"} {
				if got := testkit.Receive(t, patience, want, heard); got != want {
					t.Errorf("heard %q, want %q", got, want)
				}
			}
			d.conn.Close()
			emptied(t, memory)
		})
	}
}

// A piece that breaks the rules of the layer ends a connection that is open.
func TestGreeting_BrokenPiece(t *testing.T) {
	accept, _, gone := reporting()
	n := serve(t, eventloop.Config{Listeners: greeted(cipher{})}, accept)
	d := n.dialSealed()
	d.raw(sealed([]byte(request)))
	d.wantSwitch()
	d.raw(masked(append([]byte{101}, make([]byte, 101)...)))
	d.wantEnd()
	d.conn.Close()
	wantGone(t, gone, eventloop.CauseProtocolError, 1002)
}

// A silent peer has no greeting, and is sent away without a word.
func TestGreeting_Silence(t *testing.T) {
	listeners := []eventloop.Listener{{Address: "127.0.0.1:0", Greet: func(*eventloop.Conn) eventloop.Greeting {
		t.Error("a greeting was made")
		return strip{}
	}}}
	n := serve(t, eventloop.Config{Listeners: listeners, Tick: tick, HandshakeTimeout: 3 * tick}, echoing())
	d := n.dial()
	d.patient()
	if said, _ := io.ReadAll(d.r); len(said) != 0 {
		t.Errorf("it says %q", said)
	}
	n.gone(eventloop.CauseHandshakeTimeout, 1)
}

// later is a greeting that another goroutine has to do something for.
type later struct {
	c    *eventloop.Conn
	done chan struct{}
}

func (g *later) Step(wire []byte) (eventloop.Step, error) {
	select {
	case <-g.done:
		return eventloop.Step{Reply: []byte("+"), Over: true}, nil
	default:
	}
	if len(wire) > 0 {
		go func() {
			close(g.done)
			g.c.Wake()
		}()
	}
	return eventloop.Step{Used: len(wire)}, nil
}
func (*later) Seal(dst, plain []byte) []byte { return append(dst, plain...) }
func (*later) Goodbye(dst []byte) []byte     { return dst }
func (*later) Closed()                       {}

// A greeting may wait for work that is done elsewhere.
func TestGreeting_Wake(t *testing.T) {
	listeners := []eventloop.Listener{{Address: "127.0.0.1:0", Greet: func(c *eventloop.Conn) eventloop.Greeting {
		return &later{c: c, done: make(chan struct{})}
	}}}
	n := serve(t, eventloop.Config{Listeners: listeners}, echoing())
	d := n.dial()
	d.raw([]byte("x"))
	d.patient()
	if b, err := d.r.ReadByte(); err != nil || b != '+' {
		t.Fatalf("it says %q, %v", b, err)
	}
	d.handshake()
	d.send(text("through"))
	d.want(text("through"))
}

// Memory for pieces that never become whole is bounded: a peer may make the layer
// wait for so much and no more.
func TestGreeting_EndlessPiece(t *testing.T) {
	memory := bytebuf.NewBudget(1<<20, nil)
	n := serve(t, eventloop.Config{Listeners: greeted(endless{}), Memory: memory, HandshakeTimeout: time.Hour, CloseTimeout: tick}, echoing())
	d := n.dial()
	go func() { _, _ = io.WriteString(d.conn, strings.Repeat("x", 1<<20)) }()
	n.gone(eventloop.CauseRefused, 1)
	emptied(t, memory)
}

type endless struct{ strip }

func (endless) Step([]byte) (eventloop.Step, error) { return eventloop.Step{}, nil }

// A caller that closes from within Receive keeps the message until it returns, and hears of none
// that came behind it meanwhile.
func TestGreeting_ClosedWithinReceive(t *testing.T) {
	memory := bytebuf.NewBudget(1<<20, nil)
	long := strings.Repeat("b", 60)
	heard := make(chan string, 8)
	conns := make(chan *eventloop.Conn, 1)
	n := serve(t, eventloop.Config{Listeners: greeted(cipher{}), Memory: memory}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		conns <- c
		within := false
		return &ears{receive: func(_ eventloop.Kind, p []byte) {
			if within {
				t.Errorf("%q came before the last message was dealt with", p)
			}
			switch string(p) {
			case "a":
				c.PauseOnLoop()
			case long:
				within = true
				c.CloseOnLoop(1008, "enough")
				within = false
			}
			heard <- string(p)
		}}
	}))
	d := n.dialSealed()
	d.raw(sealed([]byte(request)))
	d.wantSwitch()
	c := testkit.Receive(t, patience, "the connection", conns)
	pieces := wire(frame{0x01, []byte(long[:30])}, frame{0x80, []byte(long[30:])}) // the decoder puts it together
	d.raw(append(append(sealed(append(wire(text("a")), pieces...)), sealed(wire(text("c")))...), sealed(wire(text("d")))...))
	if got := testkit.Receive(t, patience, "a", heard); got != "a" {
		t.Fatalf("heard %q", got)
	}
	eventloop.OnLoop(c, c.ResumeOnLoop)
	if got := testkit.Receive(t, patience, "the message", heard); got != long {
		t.Errorf("heard %q, want %q", got, long)
	}
	d.conn.Close()
	emptied(t, memory)
}
