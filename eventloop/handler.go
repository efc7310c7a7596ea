package eventloop

import (
	"time"

	"github.com/panjf2000/gnet/v2"
	"go.uber.org/zap"
)

// handler is what gnet calls. It finds the Conn and goes on there.
type handler struct {
	gnet.BuiltinEventEngine

	s *Server
}

var _ gnet.EventHandler = (*handler)(nil)

// OnBoot runs once, when the sockets listen and before they are polled.
func (h *handler) OnBoot(eng gnet.Engine) gnet.Action {
	h.s.engine = eng
	for _, l := range h.s.listeners {
		if h.s.bootErr = l.learn(); h.s.bootErr != nil {
			return gnet.Shutdown
		}
	}
	close(h.s.booted)
	if h.s.isStopping() { // Stop looks at booted after it closed stopping
		return gnet.Shutdown
	}
	return gnet.None
}

// OnShutdown runs before the connections are closed (gnet says after). From
// here on gnet's descriptors may go, and their numbers become somebody else's.
func (h *handler) OnShutdown(gnet.Engine) {
	h.s.halt()
	for _, l := range h.s.listeners {
		l.gate.release()
	}
	h.s.endLoops()
}

// OnOpen runs on the loop of the new connection.
func (h *handler) OnOpen(gc gnet.Conn) ([]byte, gnet.Action) {
	s := h.s
	l := s.loopOf(gc.EventLoop())
	by := s.listenerOf(gc)
	if by.turnsAway(addrPortOf(gc.RemoteAddr()).Addr()) {
		return nil, gnet.Close
	}
	c := &Conn{loop: l, id: s.nextID.Add(1), gc: gc, via: by.index, state: by.firstState(gc), speech: by.firstSpeech()}
	gc.SetContext(c)
	l.owner.adopt()
	l.learnEpollOnLoop(gc.Fd())
	l.enterOnLoop(c, s.ticks(s.cfg.HandshakeTimeout))
	by.beginOnLoop(c)
	return nil, gnet.None
}

// OnTraffic runs on the loop of the connection, after one read.
func (h *handler) OnTraffic(gc gnet.Conn) gnet.Action {
	c, ok := gc.Context().(*Conn)
	if !ok {
		return gnet.Close
	}
	in, err := gc.Next(-1) // all of it: what is left behind costs gnet a ring buffer
	if err != nil {
		return gnet.Close
	}
	l := c.loop
	l.heard++
	c.trafficOnLoop(in)
	l.flushOnLoop()
	if l.rung && l.heard%lookEach == 0 {
		l.heardOnLoop()
	}
	if l.gather {
		l.napOnLoop()
	}
	return gnet.None
}

// OnClose runs on the loop of the connection, maybe inside one of our writes.
func (h *handler) OnClose(gc gnet.Conn, err error) gnet.Action {
	c, ok := gc.Context().(*Conn)
	if !ok {
		return gnet.None
	}
	defer c.containOnLoop()
	c.closedOnLoop(err)
	return gnet.None
}

// OnTick runs in gnet's ticker, which is not a loop: it only asks each loop to
// advance its wheel. A loop that is behind is not asked twice.
func (h *handler) OnTick() (time.Duration, gnet.Action) {
	for _, l := range h.s.listeners {
		l.gateOnce()
		l.crowdOut()
	}
	h.s.minding()
	// gnet begins to tick when it has made its loops.
	h.s.begin.Do(func() { close(h.s.looping) })
	for _, l := range h.s.loops() {
		if !l.late.Load() {
			l.asked.Store(h.s.now())
			l.late.Store(true)
			l.execute(l.tick)
		}
	}
	return h.s.cfg.Tick, gnet.None
}

// gateOnce finds the gate's descriptors with the first tick, when the acceptor
// has registered its socket.
func (s *listener) gateOnce() {
	if s.gate.found() {
		return
	}
	if err := s.gate.find(s.lnfd); err != nil {
		s.log.Error("cannot set up the accept gate, trying again with the next tick", zap.Error(err))
	}
}
