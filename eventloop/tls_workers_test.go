package eventloop_test

import (
	"crypto/tls"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
	"edgeloop/tlsrec"
)

// Workers that do nothing hold up nobody who is connected, and who goes while one has its
// handshake is cleaned up by that one. Then the one that came last has its turn first.
func TestTLS_WorkersAreBusy(t *testing.T) {
	server, pool := secureServer(t)
	var mu sync.Mutex
	var held []func()
	holding := false
	run := func(do func()) bool {
		mu.Lock()
		defer mu.Unlock()
		if holding {
			held = append(held, do)
			return true
		}
		go do()
		return true
	}
	waiting := func(want int) {
		t.Helper()
		testkit.Eventually(t, patience, "handshakes to wait", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(held) == want
		})
	}
	n := serve(t, eventloop.Config{Loops: 1, Listeners: over(server, run), HandshakeTimeout: time.Hour}, echoing())
	d := n.dialTLS(&tls.Config{RootCAs: pool})
	d.open()
	mu.Lock()
	holding = true
	mu.Unlock()
	through := make(chan int, 3)
	var late []*secure
	for i := range 3 {
		s := n.dialTLS(&tls.Config{RootCAs: pool})
		late = append(late, s)
		go func() {
			if s.tls.Handshake() == nil {
				through <- i
			}
		}()
		waiting(i + 1)
	}
	if guests, measured := eventloop.Served(n.Server); guests != 3 || !measured {
		t.Errorf("%d of 3 stand in the lobby as those that a worker serves; a turn was measured: %v", guests, measured)
	}
	d.raw(wire(text("not held up")))
	d.want(text("not held up"))
	late[2].reset()
	n.gone(eventloop.CausePeerGone, 1)
	mu.Lock()
	do := held
	holding = false
	mu.Unlock()
	if server.Outcomes()[tlsrec.OutcomeGone] != 0 {
		t.Error("the loop closed what a worker has")
	}
	do[0]() // takes the one that is gone
	outcomes(t, server, tlsrec.OutcomeGone, 1)
	do[1]()
	if got := testkit.Receive(t, patience, "a handshake", through); got != 1 {
		t.Errorf("the handshake of %d was first", got)
	}
	do[2]()
	if got := testkit.Receive(t, patience, "a handshake", through); got != 0 {
		t.Errorf("the handshake of %d was second", got)
	}
}

// Where no worker takes a handshake, it ends.
func TestTLS_NoWorker(t *testing.T) {
	server, pool := secureServer(t)
	n := serve(t, eventloop.Config{Listeners: over(server, func(func()) bool { return false }), CloseTimeout: tick, Tick: tick}, echoing())
	if err := n.dialTLS(&tls.Config{RootCAs: pool}).tls.Handshake(); err == nil {
		t.Error("it went through")
	}
	n.gone(eventloop.CauseRefused, 1)
	outcomes(t, server, tlsrec.OutcomeGone, 1)
}

// One for whom there is no worker is refused, and nobody else loses his: a worker that comes
// for another meanwhile does not take the one that is refused instead, and leave that other
// one, and all that is kept for him, waiting for good.
func TestTLS_NoWorkerForOne(t *testing.T) {
	server, pool := secureServer(t)
	var mu sync.Mutex
	var first func()
	posts := 0
	run := func(do func()) bool {
		mu.Lock()
		defer mu.Unlock()
		switch posts++; posts {
		case 1:
			first = do
		case 2:
			came := make(chan struct{})
			go func() { first(); close(came) }()
			select {
			case <-came:
			case <-time.After(100 * time.Millisecond): // it waits until this one is refused
			}
			return false
		default:
			go do()
		}
		return true
	}
	n := serve(t, eventloop.Config{Loops: 1, Listeners: over(server, run), HandshakeTimeout: time.Hour, CloseTimeout: tick, Tick: tick}, echoing())
	through := make(chan error, 1)
	one := n.dialTLS(&tls.Config{RootCAs: pool})
	go func() { through <- one.tls.Handshake() }()
	testkit.Eventually(t, patience, "a handshake to wait", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return posts == 1
	})
	if n.dialTLS(&tls.Config{RootCAs: pool}).tls.Handshake() == nil {
		t.Error("the one without a worker got through")
	}
	if err := testkit.Receive(t, patience, "the handshake of the other", through); err != nil {
		t.Error(err)
	}
	outcomes(t, server, tlsrec.OutcomeGone, 1)
}

// Those that are gone do not keep their places before the workers: where these are all taken, who
// comes has the place of one that is gone, and its turn first.
func TestTLS_PlaceOfOneThatIsGone(t *testing.T) {
	server, pool := secureServer(t)
	var mu sync.Mutex
	var held []func()
	run := func(do func()) bool {
		mu.Lock()
		defer mu.Unlock()
		if len(held) == 2 {
			return false
		}
		held = append(held, do)
		return true
	}
	n := serve(t, eventloop.Config{Loops: 1, Listeners: over(server, run), HandshakeTimeout: time.Hour, CloseTimeout: tick, Tick: tick}, echoing())
	through := make(chan int, 3)
	begin := func(i int) *secure {
		s := n.dialTLS(&tls.Config{RootCAs: pool})
		go func() {
			if s.tls.Handshake() == nil {
				through <- i
			}
		}()
		return s
	}
	for i := range 2 {
		s := begin(i)
		testkit.Eventually(t, patience, "a handshake to wait", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(held) == i+1
		})
		if i == 0 {
			s.reset()
			n.gone(eventloop.CausePeerGone, 1)
		}
	}
	begin(2)
	outcomes(t, server, tlsrec.OutcomeGone, 1) // the first, and nobody is refused
	for i, do := range held {
		do()
		if got, want := testkit.Receive(t, patience, "a handshake", through), 2-i; got != want {
			t.Errorf("the handshake of %d, want that of %d", got, want)
		}
	}
	if begin(3); len(held) != 2 {
		t.Errorf("%d workers were asked for", len(held))
	}
	n.gone(eventloop.CauseRefused, 1)
}

// What is dear of a handshake is a worker's, in as few turns as the peer's flights allow; the
// Finished is the loop's where nothing else is missing.
func TestTLS_TurnsOfWorkers(t *testing.T) {
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("node", nil)
	device := ca.Pair("device", nil)
	for _, c := range []struct {
		name    string
		own     bool
		auth    tlsrec.ClientAuth
		version uint16
		want    int32 // turns
	}{
		{"hello", true, tlsrec.ClientAuthNone, tls.VersionTLS13, 1},
		{"hello and Finished", false, tlsrec.ClientAuthNone, tls.VersionTLS13, 2},
		{"hello, and key and Finished", true, tlsrec.ClientAuthNone, tls.VersionTLS12, 2},
		{"hello, certificate, signature, Finished", true, tlsrec.ClientAuthRequired, tls.VersionTLS13, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			server, err := tlsrec.New(tlsrec.Config{
				CertFile: cert, KeyFile: key, Protocols: []string{"http/1.1"}, OwnRecords: c.own, ClientAuth: c.auth, ClientCAFile: ca.File,
			})
			if err != nil {
				t.Fatal(err)
			}
			var turns atomic.Int32
			n := serve(t, eventloop.Config{Loops: 1, Listeners: over(server, func(do func()) bool {
				turns.Add(1)
				return oneForEach(do)
			})}, echoing())
			d := n.dialTLS(&tls.Config{RootCAs: ca.Pool(), MaxVersion: c.version, Certificates: []tls.Certificate{device}})
			d.open()
			d.raw(wire(text("x")))
			d.want(text("x"))
			if got := turns.Load(); got != c.want {
				t.Errorf("%d turns, want %d", got, c.want)
			}
			outcomes(t, server, tlsrec.OutcomeFull, 1)
		})
	}
}
