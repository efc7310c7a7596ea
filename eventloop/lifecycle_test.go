package eventloop_test

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
	"edgeloop/wsproto"
)

func stopNow(t *testing.T, s *eventloop.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// Stop ends connections in every state, tells each Receiver (tracked counts
// that), and gives the port back.
func TestServer_Stop(t *testing.T) {
	accept, ch := deciding()
	gone := make(chan *eventloop.Gone, 8)
	door := []eventloop.Listener{{Address: testkit.FreeAddr(t)}} // nobody is to have it before it is bound again
	n := serve(t, eventloop.Config{Listeners: door}, func(c *eventloop.Conn, h *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
		if string(h.Path) == "/later" {
			return accept(c, h)
		}
		return &ears{closed: func(g *eventloop.Gone) { gone <- g }, receive: func(eventloop.Kind, []byte) { c.PauseOnLoop() }}, nil
	})
	silent := n.dial()
	pending := n.dial()
	pending.raw([]byte(strings.Replace(request, "/", "/later", 1)))
	cand := testkit.Receive(t, patience, "the candidate", ch)
	open, paused := n.open(), n.open()
	paused.send(text("a"), text("b"))
	testkit.Eventually(t, patience, "the pause", func() bool { return n.Stats().Paused == 1 })

	stopNow(t, n.Server)
	for range 2 {
		wantGone(t, gone, eventloop.CauseShutdown, wsproto.CloseAbnormal)
	}
	cand.h.Admit(n.track(&ears{closed: func(g *eventloop.Gone) { gone <- g }}))
	wantGone(t, gone, eventloop.CauseShutdown, wsproto.CloseAbnormal)
	for _, d := range []*dialogue{silent, pending, open, paused} {
		d.wantGone()
	}
	if err := send(cand.c, text("x")); !errors.Is(err, eventloop.ErrClosed) {
		t.Errorf("Send after Stop: %v", err)
	}
	n.StopAccepting() // harmless: its descriptors are somebody else's by now
	n.SetMaxConnections(7)

	again := serve(t, eventloop.Config{Listeners: door}, echoing())
	d := again.open()
	d.send(ping("x"))
	d.want(pong("x"))
}

// A connection admitted while the server stops is told that it is over, once.
func TestServer_AdmitWhileStopping(t *testing.T) {
	for range 20 {
		accept, ch := deciding()
		n := serve(t, eventloop.Config{Loops: 1}, accept)
		const candidates = 16
		for range candidates {
			n.dial().raw([]byte(request))
		}
		var wg sync.WaitGroup
		for range candidates {
			cand := testkit.Receive(t, patience, "a candidate", ch)
			wg.Go(func() { cand.h.Admit(n.track(&ears{})) })
		}
		stopNow(t, n.Server)
		wg.Wait()
		n.finish()
	}
}

func TestServer_StopInEveryPhase(t *testing.T) {
	mk := func() *eventloop.Server {
		s, err := eventloop.New(eventloop.Config{Listeners: []eventloop.Listener{{Address: "127.0.0.1:0"}}}, echoing())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	t.Run("before Run", func(t *testing.T) {
		s := mk()
		stopNow(t, s)
		if err := s.Run(); err != nil {
			t.Errorf("Run after Stop: %v", err)
		}
	})
	t.Run("while it boots", func(t *testing.T) {
		for range 200 {
			s := mk()
			ended := make(chan error, 1)
			go func() { ended <- s.Run() }()
			stopNow(t, s)
			if err := testkit.Receive(t, patience, "Run to return", ended); err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("from many goroutines", func(t *testing.T) {
		s := mk()
		ended := make(chan error, 1)
		go func() { ended <- s.Run() }()
		<-s.Booted()
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { stopNow(t, s) })
		}
		wg.Wait()
		if err := testkit.Receive(t, patience, "Run to return", ended); err != nil {
			t.Error(err)
		}
	})
	t.Run("it gives up waiting with its context", func(t *testing.T) {
		hold, held := make(chan struct{}), make(chan struct{})
		s, err := eventloop.New(eventloop.Config{Listeners: []eventloop.Listener{{Address: "127.0.0.1:0"}}, Loops: 1}, admit(func(*eventloop.Conn) eventloop.Receiver {
			return &ears{woken: func() { close(held); <-hold }}
		}))
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- s.Run() }()
		<-s.Booted()
		d := (&node{Server: s, t: t}).dial()
		d.raw([]byte(request))
		<-held
		ctx, cancel := context.WithTimeout(context.Background(), tick)
		defer cancel()
		if err := s.Stop(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stop: %v", err)
		}
		close(hold)
		stopNow(t, s)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// gnet.Run returns nil whatever ended it (libraries.md 1.1). Only when Stop was
// called is that an orderly end.
func TestServer_EngineReturnsByItself(t *testing.T) {
	s, err := eventloop.New(eventloop.Config{Listeners: []eventloop.Listener{{Address: "127.0.0.1:0"}}}, echoing())
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run() }()
	<-s.Booted()
	eventloop.StopEngine(s)
	if err := testkit.Receive(t, patience, "Run to return", ended); !errors.Is(err, eventloop.ErrEngineReturned) {
		t.Errorf("Run: %v, want ErrEngineReturned", err)
	}
}

func TestServer_PortInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s, err := eventloop.New(eventloop.Config{Listeners: []eventloop.Listener{{Address: ln.Addr().String()}}}, echoing())
	if err != nil {
		t.Fatal(err)
	}
	err = s.Run()
	if err == nil || !strings.Contains(err.Error(), "address already in use") || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("Run: %v: it does not name the address and what is wrong with it", err)
	}
	stopNow(t, s)
}

func TestServer_DescriptorsComeBack(t *testing.T) {
	count := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	one := func() {
		n := serve(t, eventloop.Config{}, echoing())
		d := n.open()
		n.finish()
		d.conn.Close()
	}
	one() // whatever the runtime opens once
	before := count()
	for range 5 {
		one()
	}
	testkit.Eventually(t, patience, "all descriptors to be closed", func() bool { return count() <= before })
}

func TestServer_ConfigIsChecked(t *testing.T) {
	for name, cfg := range map[string]eventloop.Config{
		"no address":      {},
		"too many loops":  {Listeners: []eventloop.Listener{{Address: "127.0.0.1:0"}}, Loops: 257},
		"negative loops":  {Listeners: []eventloop.Listener{{Address: "127.0.0.1:0"}}, Loops: -1},
		"too fine a tick": {Listeners: []eventloop.Listener{{Address: "127.0.0.1:0"}}, Tick: 1},
		"negative bound":  {Listeners: []eventloop.Listener{{Address: "127.0.0.1:0"}}, OutBuffer: -1},
		"negative time":   {Listeners: []eventloop.Listener{{Address: "127.0.0.1:0"}}, HandshakeTimeout: -1},
	} {
		if _, err := eventloop.New(cfg, echoing()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
