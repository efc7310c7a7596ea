package scenarios

import (
	"context"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"edgeloop/bench/fault/faults"
	"edgeloop/bench/fault/life"
	"edgeloop/bench/fault/node"
	"edgeloop/internal/pause"
)

// setupCluster starts a NATS server and two nodes, each of which reaches it through
// a proxy of its own. The first is started by the life.
func setupCluster(ctx context.Context, l *life.Life) error {
	if err := setupUpstream(ctx, l); err != nil {
		return err
	}
	addrs, err := node.FreeAddrs(7)
	if err != nil {
		return err
	}
	proxy, err := faults.NewProxy(addrs[6], l.Upstream.Addr)
	if err != nil {
		return err
	}
	l.Defer(proxy.Close)
	l.Upstream.Second = proxy
	common := l.Node.Flags[:len(l.Node.Flags)-1] // without the way to the first proxy
	dir := filepath.Dir(l.Node.Dir)
	l.Second = &node.Node{
		Binary: l.Node.Binary, Dir: filepath.Join(dir, "second"), Log: filepath.Join(dir, "second.log"), Listen: addrs[4], Admin: addrs[5],
		Flags: append(slices.Clone(common), "--nats-url=nats://"+proxy.Addr(), "--node=west"),
	}
	l.Node.Flags = append(l.Node.Flags, "--node=east")
	l.Defer(l.Second.Kill)
	return nil
}

// clusterFault is one way to hurt two nodes.
type clusterFault struct {
	name string
	hit  func(ctx context.Context, l *life.Life) error
}

// actMove moves devices between two nodes that share a log and are both well. One
// history has to hold over both.
func actMove(ctx context.Context, l *life.Life) error {
	return cluster(ctx, l, []clusterFault{
		{"all devices connect to the other node", moveAll},
		{"all devices are cut, and choose a node", cutAll},
	})
}

// actCluster moves devices while nodes and their ways to the log fail.
func actCluster(ctx context.Context, l *life.Life) error {
	return cluster(ctx, l, []clusterFault{
		{"one node is killed", killOne},
		{"one node is killed in the takeover", killInMove},
		{"one node is stopped in good order", stopOne},
		{"one node does not reach the log, devices move", deafOne},
		{"the log is killed", killLog},
		{"both nodes are killed", killBoth},
		{"one node stands still, devices move", freezeOne},
	})
}

func cluster(ctx context.Context, l *life.Life, faults []clusterFault) error {
	for i := range l.Options.Rounds {
		if err := l.Load(ctx); err != nil {
			return err
		}
		f := faults[(i+int(l.Options.Seed))%len(faults)] //nolint:gosec // a small seed
		l.Journal.Inject("%s", f.name)
		l.Result.Faults++
		if err := f.hit(ctx, l); err != nil {
			return err
		}
		if err := l.Boot(ctx); err != nil { // of those that are dead
			return err
		}
		if err := l.Recover(ctx); err != nil {
			return err
		}
	}
	return l.Rebase()
}

// one is either node.
func one(l *life.Life) *node.Node { return l.Nodes()[l.Rng.IntN(2)] }

func kill(l *life.Life, n *node.Node) {
	l.Journal.Inject("kill -9 of %s", n.Listen)
	n.Kill()
	l.Result.Kills++
}

func moveAll(ctx context.Context, l *life.Life) error {
	l.Crew.TakeOver()
	return l.Load(ctx)
}

// killOne leaves all devices to the other node, which must serve them.
func killOne(ctx context.Context, l *life.Life) error {
	kill(l, one(l))
	return l.Recover(ctx)
}

func killInMove(ctx context.Context, l *life.Life) error {
	l.Crew.TakeOver()
	if err := pause.For(ctx, l.UpTo(300*ms)); err != nil {
		return err
	}
	kill(l, one(l))
	return nil
}

func cutAll(ctx context.Context, l *life.Life) error {
	l.Crew.CutAll()
	return l.Load(ctx)
}

func stopOne(ctx context.Context, l *life.Life) error {
	l.End(one(l))
	return l.Recover(ctx)
}

// deafOne lets a node's records wait on the way to the log while its devices go on
// at the other node: what arrives late must not stand behind what is newer.
func deafOne(ctx context.Context, l *life.Life) error {
	p := []*faults.Proxy{l.Upstream.Proxy, l.Upstream.Second}[l.Rng.IntN(2)]
	p.Hold(true)
	if err := wander(ctx, l); err != nil {
		return err
	}
	if l.Rng.IntN(2) == 0 {
		p.Cut() // and what waited is lost
	}
	p.Hold(false)
	return nil
}

func killLog(ctx context.Context, l *life.Life) error {
	l.Upstream.Kill()
	if err := pause.For(ctx, l.UpTo(3*time.Second)); err != nil {
		return err
	}
	return l.Upstream.Start(ctx)
}

func killBoth(_ context.Context, l *life.Life) error {
	for _, n := range l.Nodes() {
		kill(l, n)
	}
	return nil
}

// freezeOne stops a node while its devices go on at the other, and lets it go on.
func freezeOne(ctx context.Context, l *life.Life) error {
	n := one(l)
	n.Signal(syscall.SIGSTOP)
	defer n.Signal(syscall.SIGCONT)
	return wander(ctx, l)
}

// wander has all devices connect anew, three times, each at either node.
func wander(ctx context.Context, l *life.Life) error {
	for range 3 {
		l.Crew.TakeOver()
		if err := pause.For(ctx, l.UpTo(2*time.Second)); err != nil {
			return err
		}
	}
	return nil
}
