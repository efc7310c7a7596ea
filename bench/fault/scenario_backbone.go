package fault

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// natsEnv names the variable with the path of a nats-server program; without it the
// scenario looks in PATH.
const natsEnv = "EDGEFAULT_NATS_SERVER"

// upstream is an external NATS server behind a proxy.
type upstream struct {
	binary, dir, addr string
	proxy             *Proxy
	second            *Proxy // of a second node
	cmd               *exec.Cmd
}

// setupUpstream starts the server and lets the node use it through the proxy.
func setupUpstream(ctx context.Context, l *Life) error {
	binary := os.Getenv(natsEnv)
	if binary == "" {
		found, err := exec.LookPath("nats-server")
		if err != nil {
			return fmt.Errorf("%w: build it with go build -o DIR github.com/nats-io/nats-server/v2 and name it in %s", err, natsEnv)
		}
		binary = found
	}
	addrs, err := freeAddrs(7) // the node has the first two, a second node the last three
	if err != nil {
		return err
	}
	u := &upstream{binary: binary, dir: filepath.Dir(l.Node.Dir), addr: addrs[2]}
	if err := u.start(ctx); err != nil {
		return err
	}
	l.Defer(u.kill)
	if u.proxy, err = NewProxy(addrs[3], u.addr); err != nil {
		return err
	}
	l.Defer(u.proxy.Close)
	l.Defer(l.Node.Kill)
	l.upstream = u
	l.Node.Flags = append(l.Node.Flags, "--nats-url=nats://"+u.proxy.Addr())
	return nil
}

// start starts the server, which syncs before it answers, and waits for it.
func (u *upstream) start(ctx context.Context) error {
	conf := filepath.Join(u.dir, "nats.conf")
	text := fmt.Sprintf("listen: %q\nmax_payload: 8MB\njetstream { store_dir: %q, sync_interval: always }\n", u.addr, filepath.Join(u.dir, "nats"))
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return err
	}
	log, err := os.OpenFile(filepath.Join(u.dir, "nats.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	u.cmd = exec.Command(u.binary, "-c", conf)
	u.cmd.Stdout, u.cmd.Stderr = log, log
	u.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := u.cmd.Start(); err != nil {
		return err
	}
	return u.reachable(ctx)
}

func (u *upstream) reachable(ctx context.Context) error {
	for range 500 {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", u.addr)
		if err == nil {
			c.Close()
			return nil
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	return errors.New("fault: the NATS server does not listen")
}

func (u *upstream) kill() {
	if u.cmd != nil {
		_ = u.cmd.Process.Kill()
		_ = u.cmd.Wait() // killed
		u.cmd = nil
	}
}

// actUpstream makes the server slow, deaf, unreachable and dead, under load.
func actUpstream(ctx context.Context, l *Life) error {
	u := l.upstream
	faults := []struct {
		name       string
		begin, end func() error
	}{
		{"slow", func() error { u.proxy.Slow(time.Duration(20+l.Rng.IntN(150)) * time.Millisecond); return nil }, func() error { u.proxy.Slow(0); return nil }},
		{"cut", func() error { u.proxy.Cut(); return nil }, func() error { u.proxy.Cut(); return nil }},
		{"deaf", func() error { u.proxy.Hold(true); return nil }, func() error { u.proxy.Hold(false); return nil }},
		{"deaf, then cut", func() error { u.proxy.Hold(true); return nil }, func() error { u.proxy.Cut(); u.proxy.Hold(false); return nil }},
		{"unreachable", func() error { u.proxy.Shut(); return nil }, u.proxy.Open},
		{"killed", func() error { u.kill(); return nil }, func() error { return u.start(ctx) }},
		{"killed, and the node too", func() error { u.kill(); l.Kill("with its backbone"); return nil }, func() error {
			if err := u.start(ctx); err != nil {
				return err
			}
			return l.boot(ctx)
		}},
	}
	for i := range l.Options.Rounds {
		if err := l.load(ctx); err != nil {
			return err
		}
		f := faults[(i+int(l.Options.Seed))%len(faults)] //nolint:gosec // a small seed
		l.Journal.Inject("the backbone is %s", f.name)
		if err := f.begin(); err != nil {
			return err
		}
		l.Result.Faults++
		if err := pause(ctx, l.upTo(4*time.Second)); err != nil {
			return err
		}
		if err := f.end(); err != nil {
			return err
		}
		l.Journal.Inject("the backbone is well again")
		if err := l.recover(ctx); err != nil {
			return err
		}
	}
	return l.rebase()
}
