package eventloop

import (
	"context"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/panjf2000/gnet/v2"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// The turnstile: an acceptor of our own, that looks whether there is room before
// each accept and waits until the newcomer is counted. It costs some microseconds
// and bytes more for each connection than gnet's, so it stands in only where that
// one would do harm (each listener has its own: together they may overshoot by one
// each, less one):
//
//   - near the limits. gnet's acceptor empties the whole backlog once it is called,
//     however few descriptors are left, and those it takes beyond the limit are what
//     the log needs for its next block. So while fewer sockets may be opened than the
//     backlog can hold, the gate stays shut for gnet.
//   - in a crowd, where it takes newcomers in by way of the doorstep
//     (doorstep_linux.go).
//   - after a failed accept (no descriptor left on this machine, no memory). gnet
//     ends the engine then, and with it every connected device. It logs first, on
//     the acceptor's goroutine; there we park that goroutine until the server
//     stops, so that the loops never hear of it.

const (
	rescueRetry = 50 * time.Millisecond // after a failed accept
	rescueLong  = time.Second
)

// backlogMargin is added to the length of the backlog: newcomers that come while
// it is emptied.
const backlogMargin = 256

// nearLimit says whether one emptying of the backlogs could exceed the limit.
func (s *Server) nearLimit() bool {
	return s.limit.Load()+int64(s.cfg.RefuseReserve)-s.sockets() < s.backlog*int64(len(s.listeners))+backlogMargin
}

// learnBacklog reads how many newcomers the kernel keeps waiting for gnet's
// listener, which asks for all that the system allows.
func (s *Server) learnBacklog() {
	s.backlog = unix.SOMAXCONN
	if b, err := os.ReadFile("/proc/sys/net/core/somaxconn"); err == nil {
		if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && n > 0 {
			s.backlog = n
		}
	}
}

// useTurnstile says whether the turnstile is to accept.
func (s *listener) useTurnstile() bool { return s.rescued.Load() || s.nearLimit() || s.crowded() }

// callTurnstile has it look again.
func (s *listener) callTurnstile() {
	select {
	case s.turnstile <- struct{}{}:
	default: // it will
	}
}

// callTurnstiles is the same for all.
func (s *Server) callTurnstiles() {
	for _, l := range s.listeners {
		l.callTurnstile()
	}
}

// parkAcceptor runs on the acceptor's goroutine and does not return before the
// server stops.
func (s *Server) parkAcceptor(args []any) {
	s.log.Error("accept failed, connected devices stay: a second acceptor takes over", zap.Any("err", args))
	s.acceptFailures.Add(1)
	s.rescued.Store(true)
	s.callTurnstiles()
	<-s.stopping
}

// runTurnstile waits to be needed, then accepts, while it is, until the server
// stops.
func (s *listener) runTurnstile() {
	for needed := false; !needed; {
		select {
		case <-s.stopping:
			return
		case <-s.turnstile:
			needed = s.useTurnstile()
		}
	}
	select { // gnet's list of loops is not to be looked at while it grows
	case <-s.stopping:
		return
	case <-s.looping:
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
	defer s.door.close()
	wait := rescueRetry
	for !s.isStopping() {
		if s.atDoorstep() && s.tendDoorstep() {
			continue
		}
		if !s.useTurnstile() || !s.roomForMore() {
			select {
			case <-s.stopping:
				return
			case <-s.turnstile:
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
	if tc, ok := nc.(*net.TCPConn); ok {
		_ = tc.SetKeepAlive(false) // Go's default would probe each device four times a minute
	}
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
func (s *listener) secondListener(f *os.File) net.Listener {
	for told := false; ; told = true {
		ln, err := net.FileListener(f)
		if err == nil {
			return ln
		}
		if !told {
			s.log.Error("cannot start a second acceptor yet, new devices have to wait", zap.Error(err))
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
