package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// watched is a supervisor of a life that only the test ends, and what await
// returned.
func watched(t *testing.T, window time.Duration) (v *supervisor, life chan error, end chan error) {
	t.Helper()
	log, err := newLogging("error", "text", &fickle{})
	if err != nil {
		t.Fatal(err)
	}
	v = newSupervisor(log, window)
	life, end = make(chan error, 1), make(chan error, 1)
	go func() {
		end <- v.await(life)
		log.out.Close()
	}()
	synctest.Wait()
	return v, life, end
}

// TestSupervisor_SecondSignal: the first signal asks the life to end, the second
// does not wait for it, whatever it does.
func TestSupervisor_SecondSignal(t *testing.T) {
	for name, signals := range map[string][2]os.Signal{
		"the same":      {syscall.SIGTERM, syscall.SIGTERM},
		"another":       {syscall.SIGINT, syscall.SIGTERM},
		"by a terminal": {syscall.SIGINT, syscall.SIGINT},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v, _, end := watched(t, time.Second)
				ctx, cancel := v.untilAsked()
				defer cancel()
				v.signals <- signals[0]
				<-v.asked
				<-ctx.Done()
				synctest.Wait()
				select {
				case err := <-end:
					t.Fatalf("the first signal ended it: %v", err)
				default:
				}
				began := time.Now()
				v.signals <- signals[1]
				if err := <-end; !errors.Is(err, errAborted) || time.Since(began) > 0 {
					t.Errorf("after the second signal: %v after %s, want %v at once", err, time.Since(began), errAborted)
				}
			})
		})
	}
}

// TestSupervisor_Overdue: a stop that hangs ends all the same, in a time that is
// known before, and says where it hung.
func TestSupervisor_Overdue(t *testing.T) {
	for name, begin := range map[string]func(*supervisor){
		"a signal":          func(v *supervisor) { v.signals <- syscall.SIGTERM },
		"a part that fails": func(v *supervisor) { v.leave(); v.leave() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const window = 20 * time.Second
				v, _, end := watched(t, window)
				v.at("think about it")
				began := time.Now()
				begin(v)
				err := <-end
				if !errors.Is(err, errOverdue) || !strings.Contains(err.Error(), "think about it") {
					t.Errorf("the stop ended with %v", err)
				}
				if took := time.Since(began); took != window+stopMost {
					t.Errorf("the stop took %s, want %s", took, window+stopMost)
				}
			})
		})
	}
}

// TestSupervisor_Hangup: SIGHUP asks for a reload, many at once for one, and does
// not end a node, not even one that stops.
func TestSupervisor_Hangup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, life, end := watched(t, time.Second)
		for range 10 {
			v.signals <- syscall.SIGHUP
		}
		synctest.Wait()
		if len(v.reload) != 1 {
			t.Errorf("%d reloads wait, want 1", len(v.reload))
		}
		<-v.reload
		v.signals <- syscall.SIGTERM
		<-v.asked
		v.signals <- syscall.SIGHUP
		synctest.Wait()
		if len(v.reload) != 0 {
			t.Error("a node that stops was asked to reload")
		}
		life <- nil
		if err := <-end; err != nil {
			t.Error(err)
		}
	})
}

// TestSupervisor_Watchdog: the service manager's watchdog is fed while the loops
// turn, and during a stop, which has a bound of its own; not while a loop hangs.
func TestSupervisor_Watchdog(t *testing.T) {
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(t.TempDir(), "notify")})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", socket.LocalAddr().String())
	fed := func(within time.Duration) bool {
		_ = socket.SetReadDeadline(time.Now().Add(within))
		n, _ := socket.Read(make([]byte, 64))
		return n > 0
	}
	log, err := newLogging("error", "text", &fickle{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.out.Close()
	v := newSupervisor(log, 0)
	for _, c := range []struct {
		name     string
		lag      time.Duration // -1: no loops yet
		stopping bool
		want     bool
	}{
		{"before the loops", -1, false, true},
		{"loops turn", 0, false, true},
		{"a loop is slow", 2 * time.Second, false, true},
		{"a loop hangs", 3 * time.Second, false, false},
		{"loops have ended", time.Hour, true, true},
	} {
		if c.lag >= 0 {
			lag := func() time.Duration { return c.lag }
			v.lag.Store(&lag)
		}
		v.feed(time.Second, c.stopping)
		within := time.Millisecond
		if c.want {
			within = patience
		}
		if got := fed(within); got != c.want {
			t.Errorf("%s: fed %v, want %v", c.name, got, c.want)
		}
	}
}
