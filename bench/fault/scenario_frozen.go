package fault

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/gobwas/ws"
)

// freeze has the disk take no write and no sync until thaw is called: who tries
// waits. It also thaws when this process dies, for the one that waits then is a
// shell whose input ends.
func (im *image) freeze() (thaw func() error, err error) {
	cmd := exec.Command("sh", "-c", `fsfreeze -f "$0" && echo frozen && read line; fsfreeze -u "$0"`, im.mount)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	thaw = sync.OnceValue(func() error { return errors.Join(in.Close(), cmd.Wait()) })
	if line != "frozen\n" {
		return nil, fmt.Errorf("freeze %s: %w", im.mount, errors.Join(err, thaw()))
	}
	return thaw, nil
}

// actFrozen freezes the disk for some seconds, once with a kill meanwhile. From the
// moment it is frozen nothing new can be durable: what a device sends then must not
// be acknowledged before the thaw. Devices stay connected, pings are answered, and
// memory is bounded.
func actFrozen(ctx context.Context, l *Life) error {
	for i := range l.Options.Rounds {
		if err := l.load(ctx); err != nil {
			return err
		}
		p, err := l.newPinger(ctx)
		if err != nil {
			if ctx.Err() == nil {
				l.Journal.Break(Violation{Promise: Dropped, Detail: fmt.Sprintf("a newcomer was not let in: %v", err)})
			}
			return err
		}
		thaw, err := l.image.freeze()
		if err != nil {
			return err
		}
		l.Defer(func() { _ = thaw() })
		l.Journal.Inject("the disk is frozen")
		l.Result.Faults++
		if i%3 == 2 {
			err = l.killFrozen(ctx, thaw)
		} else {
			err = l.sitFrozen(ctx, p, thaw, 2*time.Second+l.upTo(6*time.Second))
		}
		p.wire.cut()
		if err != nil {
			return err
		}
		if err := l.recover(ctx); err != nil {
			return err
		}
	}
	return l.rebase()
}

// sitFrozen watches devices and node while the disk is frozen, and thaws it.
func (l *Life) sitFrozen(ctx context.Context, p *pinger, thaw func() error, d time.Duration) error {
	sent := make([]uint64, len(l.Crew.devices))
	for i, device := range l.Crew.devices {
		sent[i] = device.sent.Load()
	}
	cuts := l.Crew.Cuts()
	before, err := readUsage(l.Node.PID())
	if err != nil {
		return err
	}
	worst, pings := l.pingFor(ctx, p, d)
	after, err := readUsage(l.Node.PID())
	if err != nil {
		return err
	}
	ready, _, _ := l.Node.call(ctx, "GET", "/readyz", nil) // 0 if it does not answer
	for i, device := range l.Crew.devices {
		if acked := device.acked.Load(); acked > sent[i] {
			l.Journal.Break(Violation{Promise: Lost, Device: device.name, Seq: acked, Detail: fmt.Sprintf("was acknowledged while the disk was frozen; sent before were 1..%d", sent[i])})
		}
	}
	if err := thaw(); err != nil {
		return err
	}
	l.Journal.Inject("the disk has thawed")
	l.Note("frozen for %.1f s: %d pings answered, the slowest after %d ms; memory %d > %d MiB; readyz %d", d.Seconds(), pings, worst.Milliseconds(), before.rss>>20, after.rss>>20, ready)
	if err := l.progress(ctx, 30*time.Second, uint64(l.Options.Devices)); err != nil { //nolint:gosec // a count
		return err
	}
	if n := l.Crew.Cuts() - cuts; n > 0 {
		l.Journal.Break(Violation{Promise: Dropped, Detail: fmt.Sprintf("%d connections of well-behaved devices ended", n)})
	}
	if pings == 0 || worst > slowPong {
		l.Journal.Break(Violation{Promise: Dropped, Detail: fmt.Sprintf("%d pings were answered while the disk was frozen, the slowest after %s", pings, worst)})
	}
	if after.rss > before.rss+moreRSS {
		l.Journal.Break(Violation{Promise: Resources, Detail: fmt.Sprintf("%d MiB while the disk was frozen, %d MiB before", after.rss>>20, before.rss>>20)})
	}
	return nil
}

// killFrozen kills the node while it waits for the disk. It is dead once the disk
// has thawed.
func (l *Life) killFrozen(ctx context.Context, thaw func() error) error {
	if err := pause(ctx, l.upTo(2*time.Second)); err != nil {
		return err
	}
	l.Node.Signal(syscall.SIGKILL)
	if err := thaw(); err != nil {
		return err
	}
	l.Kill("while the disk was frozen")
	return l.boot(ctx)
}

// slowPong is how late the answer to a ping may be on a machine that is shared.
const slowPong = 2 * time.Second

// pingFor pings for d and returns the slowest answer and the number of them. A ping
// that is not answered counts as the time that was waited.
func (l *Life) pingFor(ctx context.Context, p *pinger, d time.Duration) (worst time.Duration, pings int) {
	end := time.Now().Add(d)
	for time.Now().Before(end) && ctx.Err() == nil {
		asked := time.Now()
		if err := p.ping(); err != nil {
			l.Note("a ping: %v", err)
			return max(worst, time.Since(asked)), pings
		}
		worst = max(worst, time.Since(asked))
		pings++
		_ = pause(ctx, 100*ms)
	}
	return worst, pings
}

// pinger is a device that does nothing but ping.
type pinger struct {
	wire *wire
}

func (l *Life) newPinger(ctx context.Context) (*pinger, error) {
	rng := rand.New(rand.NewPCG(l.Rng.Uint64(), 3)) //nolint:gosec // repeatable, not secret
	w, err := open(ctx, (&Crew{cfg: CrewConfig{Net: l.net}}).dialFrom(&Device{name: hostile + "ping"}), l.url+"?device="+hostile+"ping", rng, "")
	return &pinger{w}, err
}

// ping waits for the answer for up to handshakeLimit.
func (p *pinger) ping() error {
	p.wire.ping()
	if err := p.wire.flush(); err != nil {
		return err
	}
	_ = p.wire.conn.SetReadDeadline(time.Now().Add(handshakeLimit))
	for {
		h, err := ws.ReadHeader(p.wire.in)
		if err != nil {
			return err
		}
		if _, err := io.CopyN(io.Discard, p.wire.in, h.Length); err != nil {
			return err
		}
		if h.OpCode == ws.OpPong {
			return nil
		}
	}
}
