package scenarios

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"edgeloop/bench/fault/crew"
	"edgeloop/bench/fault/faults"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/bench/fault/node"
	"edgeloop/internal/pause"
)

// setupLeak gives node and devices a network namespace, so that the kernel counts
// the sockets of this run alone.
func setupLeak(_ context.Context, l *life.Life) error {
	net, err := faults.NewNamespace(fmt.Sprintf("efl%d", os.Getpid()))
	if err != nil {
		return err
	}
	l.Defer(func() { _ = net.Close() })
	l.Defer(l.Node.Kill)
	l.Net, l.Node.Net = net, net
	l.Node.Wrap = l.Node.Inside()
	return nil
}

// holdings is what a node, and the kernel for it, hold while no device is there.
type holdings struct {
	rss, heap  int64 // bytes; heap is what is live after a collection
	goroutines int64
	fds        int64
	sockets    int64 // TCP sockets of the namespace: in use, orphaned, waiting
	pages      int64 // of socket memory, of the whole machine
	slab       int64 // TCP sockets the kernel has memory for, of the whole machine; -1: not told
}

func (h holdings) String() string {
	return fmt.Sprintf("rss %.1f MiB, heap %.2f MiB, %d goroutines, %d descriptors, %d sockets; machine: %d pages of socket memory, %d TCP objects",
		float64(h.rss)/(1<<20), float64(h.heap)/(1<<20), h.goroutines, h.fds, h.sockets, h.pages, h.slab)
}

// Bounds of what a node may hold after the last round, beyond the most it held
// after the first rounds. What leaks a little with each of 1,000 connections is
// above them.
const (
	leakRSS     = 32 << 20
	leakHeap    = 4 << 20
	leakOf      = 8 // goroutines, descriptors, sockets
	firstRounds = 3
)

// actLeak sends all devices home and has them come back, round after round: by
// resetting the connection, by closing it, by a close frame. After each round, the
// node and the kernel must hold what they held after the first ones.
func actLeak(ctx context.Context, l *life.Life) error {
	var first, now holdings
	for i := range max(l.Options.Rounds, firstRounds+1) {
		how := crew.Parting(i % int(crew.NumPartings)) //nolint:gosec // a few
		l.Journal.Inject("round %d: all devices leave, way %d", i+1, how)
		l.Crew.PartWith(how)
		l.Crew.Park(true)
		l.Result.Faults++
		if err := gone(ctx, l); err != nil {
			return err
		}
		var err error
		if now, err = calm(ctx, l, first, i >= firstRounds); err != nil {
			return err
		}
		if i < firstRounds {
			first = first.most(now)
		}
		l.Note("round %2d: %s", i+1, now)
		l.Crew.Park(false)
		if err := l.Recover(ctx); err != nil {
			return err
		}
	}
	l.Crew.PartWith(crew.PartReset)
	for _, what := range now.beyond(first, l.Options.Devices*l.Options.Rounds) {
		l.Journal.Break(history.Violation{Promise: history.Resources, Detail: fmt.Sprintf("after %d rounds of %d devices: %s", l.Options.Rounds, l.Options.Devices, what)})
	}
	return nil
}

// gone waits until the node knows that nobody is there.
func gone(ctx context.Context, l *life.Life) error {
	return l.Await(ctx, l.Patience(30*time.Second), "the node to know that all have left", func() bool {
		listed, err := l.Node.Devices(ctx)
		return err == nil && len(history.ComparePresence(listed, l.Crew.Records(), false)) == 0
	})
}

// calm reads what is held, with all devices gone, until it is no more than before
// or 20 s have passed: caches of the log are given up after some seconds.
func calm(ctx context.Context, l *life.Life, first holdings, compare bool) (h holdings, err error) {
	wait := 2 * time.Second
	for deadline := time.Now().Add(life.UsageWait); ; {
		if err := pause.For(ctx, wait); err != nil {
			return h, err
		}
		if h, err = readHoldings(ctx, l); err != nil {
			return h, err
		}
		if !compare || len(h.beyond(first, 0)) == 0 || time.Now().After(deadline) {
			return h, nil
		}
	}
}

// beyond says what of h is more than first allows. connects is the number of
// connections between the two; 0 leaves out what the rest of the machine has a
// part in.
func (h holdings) beyond(first holdings, connects int) (what []string) {
	over := func(name string, now, then, more int64) {
		if now > then+more {
			what = append(what, fmt.Sprintf("%s %d, was %d", name, now, then))
		}
	}
	over("resident bytes", h.rss, first.rss, leakRSS)
	over("bytes of heap", h.heap, first.heap, leakHeap)
	over("goroutines", h.goroutines, first.goroutines, leakOf)
	over("descriptors", h.fds, first.fds, leakOf)
	over("sockets", h.sockets, first.sockets, leakOf)
	if connects > 0 {
		over("pages of socket memory", h.pages, first.pages, int64(max(1000, connects/4)))
		over("TCP objects", h.slab, first.slab, int64(max(2000, connects/4)))
	}
	return what
}

func (h holdings) most(o holdings) holdings {
	return holdings{
		max(h.rss, o.rss), max(h.heap, o.heap), max(h.goroutines, o.goroutines), max(h.fds, o.fds),
		max(h.sockets, o.sockets), max(h.pages, o.pages), max(h.slab, o.slab),
	}
}

// readHoldings reads what the node holds after a collection of its garbage. A figure
// that is missing is an error: it would never be beyond any bound.
func readHoldings(ctx context.Context, l *life.Life) (h holdings, err error) {
	var page []byte
	for _, path := range []string{"/debug/pprof/heap?gc=1", "/metrics"} {
		status, answer, err := l.Node.Call(ctx, "GET", path, nil)
		if err != nil || status != 200 {
			return h, errors.Join(fmt.Errorf("%s: status %d", path, status), err)
		}
		page = answer
	}
	u, err := node.ReadUsage(l.Node.PID())
	if err != nil {
		return h, err
	}
	if h.rss, h.fds = u.RSS, int64(u.FDs); h.rss <= 0 || h.fds <= 0 {
		return h, fmt.Errorf("resident bytes %d, descriptors %d", h.rss, h.fds)
	}
	sockstat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(l.Node.PID()), "net/sockstat"))
	if err != nil {
		return h, err
	}
	slabinfo, err := os.ReadFile("/proc/slabinfo")
	if err != nil {
		return h, err
	}
	return h, h.parse(page, sockstat, slabinfo)
}

// parse takes the figures of a page of metrics and of what the kernel says of
// sockets. Their pages may be 0, with nobody there; a node listens on some always.
func (h *holdings) parse(page, sockstat, slabinfo []byte) (err error) {
	if h.heap, err = series(page, "go_memstats_heap_alloc_bytes"); err != nil {
		return err
	}
	if h.goroutines, err = series(page, "go_goroutines"); err != nil {
		return err
	}
	if h.sockets, h.pages, err = tcpSockets(sockstat); err != nil {
		return err
	}
	h.slab, err = tcpObjects(slabinfo)
	return err
}

// tcpSockets is how many TCP sockets there are, also those without a process, and
// how many pages of memory they have.
func tcpSockets(sockstat []byte) (sockets, pages int64, err error) {
	for line := range strings.Lines(string(sockstat)) {
		var inUse, orphans, waiting, alloc int64
		if _, err := fmt.Sscanf(line, "TCP: inuse %d orphan %d tw %d alloc %d mem %d", &inUse, &orphans, &waiting, &alloc, &pages); err == nil && inUse > 0 {
			return inUse + orphans, pages, nil
		}
	}
	return 0, 0, fmt.Errorf("no TCP sockets in sockstat: %q", sockstat)
}

// tcpObjects is how many TCP sockets the kernel has allocated.
func tcpObjects(slabinfo []byte) (int64, error) {
	for line := range strings.Lines(string(slabinfo)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "TCP" {
			return positive("TCP in slabinfo", f[1])
		}
	}
	return 0, errors.New("no line of TCP in slabinfo")
}

// series finds the value of a series without labels in a page of metrics.
func series(page []byte, name string) (int64, error) {
	for line := range strings.Lines(string(page)) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			return positive(name, strings.TrimSpace(rest))
		}
	}
	return 0, fmt.Errorf("no series %s in the metrics", name)
}

// positive reads a figure that is above 0 of every node.
func positive(name, text string) (int64, error) {
	v, err := strconv.ParseFloat(text, 64)
	if err != nil || v < 1 {
		return 0, fmt.Errorf("%s is %q", name, text)
	}
	return int64(v), nil
}
