package eventloop

import (
	"context"
	"net"
	"os"
	"time"

	"github.com/panjf2000/gnet/v2"
	"go.uber.org/zap"
)

// The rescue of the acceptor. When an accept fails (no descriptor left in this
// process or on this machine, no memory), gnet ends the engine, and with it
// every connected device. It logs first, on the acceptor's goroutine; there we
// park that goroutine until the server stops, so that the loops never hear of
// it, and accept from a goroutine of our own from then on. That costs some
// microseconds and bytes more for each new connection, and nothing for those
// who are there.

const (
	rescueRetry = 50 * time.Millisecond // after a failed accept
	rescueLong  = time.Second
)

// parkAcceptor runs on the acceptor's goroutine and does not return before the
// server stops.
func (s *Server) parkAcceptor(args []any) {
	s.log.Error("accept failed, connected devices stay, accepting from a second acceptor now", zap.Any("err", args))
	s.acceptFailures.Add(1)
	select {
	case s.rescue <- struct{}{}:
	default: // one rescue is enough
	}
	<-s.stopping
}

// runRescue waits to be needed, then accepts until the server stops.
func (s *Server) runRescue() {
	select {
	case <-s.stopping:
		return
	case <-s.rescue:
	}
	f := os.NewFile(uintptr(s.lnfd), "listener")
	s.lnfdTaken = true
	defer f.Close()
	ln := s.secondListener(f)
	if ln == nil {
		return
	}
	s.wait.Go(func() {
		<-s.stopping
		_ = ln.Close() // ends the Accept below
	})
	wait := rescueRetry
	for {
		if !s.roomForMore() {
			if !s.pauseRescue(rescueRetry) {
				return
			}
			continue
		}
		nc, err := ln.Accept()
		if err != nil {
			if !s.pauseRescue(wait) {
				return
			}
			wait = min(2*wait, rescueLong)
			continue
		}
		wait = rescueRetry
		if !s.register(nc) {
			return
		}
	}
}

// register hands a connection to a loop and waits until it is counted there, so
// that roomForMore is told the truth. false if the server stops.
func (s *Server) register(nc net.Conn) bool {
	done, err := s.engine.Register(gnet.NewNetConnContext(context.Background(), nc))
	if err != nil {
		_ = nc.Close()
		return !s.isStopping()
	}
	select {
	case <-s.stopping:
		return false
	case res := <-done: // for want of descriptors gnet has closed nc
		if res.Err != nil {
			s.acceptFailures.Add(1)
		}
		return true
	}
}

// secondListener makes a listener of our own on the same socket. That takes
// descriptors, which is what there are none of, so it tries until it can; nil
// if the server stops first.
func (s *Server) secondListener(f *os.File) net.Listener {
	for told := false; ; told = true {
		ln, err := net.FileListener(f)
		if err == nil {
			return ln
		}
		if !told {
			s.log.Error("no second acceptor yet, new devices have to wait", zap.Error(err))
		}
		if !s.pauseRescue(rescueRetry) {
			return nil
		}
	}
}

// pauseRescue waits for d; false if the server stops.
func (s *Server) pauseRescue(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.stopping:
		return false
	case <-t.C:
		return true
	}
}
