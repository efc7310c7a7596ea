package scenarios

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"edgeloop/bench/fault/faults"
	"edgeloop/bench/fault/life"
	"edgeloop/bench/fault/node"
	"edgeloop/internal/pause"
)

// natsServer finds the program.
func natsServer() (string, error) {
	if binary := os.Getenv(node.NATSEnv); binary != "" {
		return binary, nil
	}
	binary, err := exec.LookPath("nats-server")
	if err != nil {
		return "", fmt.Errorf("%w: build it with go build -o DIR github.com/nats-io/nats-server/v2 and name it in %s", err, node.NATSEnv)
	}
	return binary, nil
}

// setupUpstream starts the server and lets the node use it through the proxy.
func setupUpstream(ctx context.Context, l *life.Life) error {
	binary, err := natsServer()
	if err != nil {
		return err
	}
	addrs, err := node.FreeAddrs(7) // the node has the first two, a second node the last three
	if err != nil {
		return err
	}
	u := &node.Upstream{Binary: binary, Dir: filepath.Dir(l.Node.Dir), Addr: addrs[2]}
	if err := u.Start(ctx); err != nil {
		return err
	}
	l.Defer(u.Kill)
	if u.Proxy, err = faults.NewProxy(addrs[3], u.Addr); err != nil {
		return err
	}
	l.Defer(u.Proxy.Close)
	l.Defer(l.Node.Kill)
	l.Upstream = u
	l.Node.Flags = append(l.Node.Flags, "--nats-url=nats://"+u.Proxy.Addr())
	return nil
}

// actUpstream makes the server slow, deaf, unreachable and dead, under load.
func actUpstream(ctx context.Context, l *life.Life) error {
	u := l.Upstream
	faults := []struct {
		name       string
		begin, end func() error
	}{
		{"slow", func() error { u.Proxy.Slow(time.Duration(20+l.Rng.IntN(150)) * time.Millisecond); return nil }, func() error { u.Proxy.Slow(0); return nil }},
		{"cut", func() error { u.Proxy.Cut(); return nil }, func() error { u.Proxy.Cut(); return nil }},
		{"deaf", func() error { u.Proxy.Hold(true); return nil }, func() error { u.Proxy.Hold(false); return nil }},
		{"deaf, then cut", func() error { u.Proxy.Hold(true); return nil }, func() error { u.Proxy.Cut(); u.Proxy.Hold(false); return nil }},
		{"unreachable", func() error { u.Proxy.Shut(); return nil }, u.Proxy.Open},
		{"killed", func() error { u.Kill(); return nil }, func() error { return u.Start(ctx) }},
		{"killed, and the node too", func() error { u.Kill(); l.Kill("with its backbone"); return nil }, func() error {
			if err := u.Start(ctx); err != nil {
				return err
			}
			return l.Boot(ctx)
		}},
	}
	for i := range l.Options.Rounds {
		if err := l.Load(ctx); err != nil {
			return err
		}
		f := faults[(i+int(l.Options.Seed))%len(faults)] //nolint:gosec // a small seed
		l.Journal.Inject("the backbone is %s", f.name)
		if err := f.begin(); err != nil {
			return err
		}
		l.Result.Faults++
		if err := pause.For(ctx, l.UpTo(4*time.Second)); err != nil {
			return err
		}
		if err := f.end(); err != nil {
			return err
		}
		l.Journal.Inject("the backbone is well again")
		if err := l.Recover(ctx); err != nil {
			return err
		}
	}
	return l.Rebase()
}
