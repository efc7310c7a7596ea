package eventloop_test

import (
	"sync/atomic"
	"testing"
	"time"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

// A sleeper is a server with one loop whose naps do not end by themselves, and whose
// devices ask for one with each message until awake is set.
type sleeper struct {
	*node

	conns           chan *eventloop.Conn
	awake           atomic.Bool
	received, woken atomic.Int64
}

func newSleeper(t *testing.T) *sleeper {
	t.Helper()
	s := &sleeper{conns: make(chan *eventloop.Conn, 64)}
	s.node = serve(t, eventloop.Config{Loops: 1, Nap: time.Hour}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		s.conns <- c
		return &ears{
			receive: func(eventloop.Kind, []byte) {
				s.received.Add(1)
				if !s.awake.Load() {
					c.GatherOnLoop()
				}
			},
			woken: func() { s.woken.Add(1) },
		}
	}))
	return s
}

// open connects a device that is quiet so far.
func (s *sleeper) open(t *testing.T) (*dialogue, *eventloop.Conn) {
	t.Helper()
	d := s.node.open()
	c := testkit.Receive(t, patience, "a connection", s.conns)
	eventloop.OnLoop(c, func() {})
	return d, c
}

// A loop naps when messages that are answered later come one behind the other; whoever
// posts something to it, an acknowledgement as a rule, ends the nap.
func TestNap_EndsWithAPost(t *testing.T) {
	s := newSleeper(t)
	d, c := s.open(t)
	sent := int64(0)
	send := func() {
		sent++
		d.send(text("one"))
	}
	testkit.Eventually(t, patience, "a nap", func() bool {
		if !eventloop.Napping(c) && s.received.Load() == sent {
			send()
		}
		return eventloop.Napping(c)
	})
	before := s.woken.Load()
	s.awake.Store(true)
	send()
	c.Wake()
	testkit.Eventually(t, patience, "the wake, and the message that came during the nap", func() bool {
		return s.woken.Load() > before && s.received.Load() == sent
	})
}

// Nobody waits for the end of a nap who was there before it began.
func TestNap_NotWhileASocketWaits(t *testing.T) {
	s := newSleeper(t)
	const devices = 16
	var ds [devices]*dialogue
	var cs [devices]*eventloop.Conn
	for i := range ds {
		ds[i], cs[i] = s.open(t)
	}
	c := cs[0]
	eventloop.OnLoop(c, func() {
		for _, d := range ds {
			d.send(text("one"))
		}
		testkit.Eventually(t, patience, "the kernel to have all of them", func() bool {
			for _, c := range cs {
				if !eventloop.Unread(c) {
					return false
				}
			}
			return true
		})
	})
	testkit.Eventually(t, patience, "all messages", func() bool { return s.received.Load() == devices })
	s.awake.Store(true)
	eventloop.OnLoop(c, func() {})
}
