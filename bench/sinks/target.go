package sinks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"edgeloop/bench/fault/node"
	"edgeloop/bench/fault/outlets"
	"edgeloop/bench/probe"
	"edgeloop/internal/pause"
)

// target is a node under load, with at most one sink.
type target struct {
	opt   Options
	dir   string
	node  *node.Node
	place place
}

// newTarget starts a node with a sink to a place; one without a kind is none.
func newTarget(ctx context.Context, o Options, kind string) (t *target, err error) {
	t = &target{opt: o, dir: filepath.Join(o.Work, "node-"+kind)}
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return nil, err
	}
	addrs, err := node.FreeAddrs(4)
	if err != nil {
		return nil, err
	}
	t.node = &node.Node{
		Binary: o.Binary, Dir: filepath.Join(t.dir, "data"), Log: filepath.Join(t.dir, "node.log"), Listen: addrs[0], Admin: addrs[1],
		Flags: []string{"--auth=none", "--log-level=warn"},
	}
	if kind != "" {
		if t.place, err = newPlace(ctx, t, kind, addrs[2], addrs[3]); err != nil {
			return nil, err
		}
		config := filepath.Join(t.dir, "edgeloop.yaml")
		yaml := fmt.Sprintf("sinks:\n  - {name: %s, %s%s}\n", t.place.Name(), t.place.Keys(), t.place.further)
		t.node.Flags = append(t.node.Flags, "--config="+config)
		if err := os.WriteFile(config, []byte(yaml), 0o600); err != nil {
			return nil, errors.Join(err, t.close())
		}
	}
	if err := t.node.Boot(ctx); err != nil {
		return nil, errors.Join(err, t.close())
	}
	return t, nil
}

// close ends everything and removes what it wrote.
func (t *target) close() error {
	code := t.node.Stop(30 * time.Second)
	if t.place.Outlet != nil {
		t.place.Close()
	}
	if code != 0 {
		return fmt.Errorf("bench: SIGTERM ended the node with exit code %d: %s", code, t.node.LogTail(500))
	}
	return os.RemoveAll(t.dir)
}

// load has devices send to the node at a rate, 0 for as fast as they can.
func (t *target) load(ctx context.Context, rate int, d time.Duration) (Load, error) {
	return devices(ctx, t.opt, filepath.Join(t.dir, "load.json"), rate, d, "--data-dir="+t.node.Dir)
}

// devices has those of edgebench send, and reads what it says of them.
func devices(ctx context.Context, o Options, out string, rate int, d time.Duration, where ...string) (l Load, err error) {
	self, err := os.Executable()
	if err != nil {
		return l, err
	}
	cmd := exec.CommandContext(ctx, self, append([]string{
		"telemetry", "--no-token", fmt.Sprintf("--rate=%d", rate), "--message-timeout=1m", fmt.Sprintf("--connections=%d", o.Connections),
		fmt.Sprintf("--size=%d", o.Size), "--duration=" + d.String(), "--warmup=1s", "--out=" + out,
	}, where...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	said, err := cmd.CombinedOutput()
	if err != nil {
		return l, fmt.Errorf("bench: devices: %w: %.1000s", err, said)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		return l, err
	}
	var r struct {
		Figures  json.RawMessage
		Warnings []string
	}
	if err := errors.Join(json.Unmarshal(b, &r), json.Unmarshal(r.Figures, &l)); err != nil {
		return l, err
	}
	l.Warnings = strings.Join(r.Warnings, "; ")
	return l, nil
}

// openWithin is how long a sink may take until it knows its place.
const openWithin = 30 * time.Second

// lag is how many records the sink has not sent.
func (t *target) lag(ctx context.Context) (uint64, error) {
	for deadline := time.Now().Add(openWithin); ; {
		all, err := t.node.Sinks(ctx)
		if err != nil {
			return 0, err
		}
		if len(all) == 1 && all[0].Lag != nil {
			return *all[0].Lag, nil
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("bench: the node does not know how far its sink is: %+v", all)
		}
		if err := pause.For(ctx, 50*time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// drained waits until the sink has sent all, or for as long as it may catch up.
func (t *target) drained(ctx context.Context) (left uint64, err error) {
	for deadline := time.Now().Add(t.opt.CatchUp); ; {
		left, err = t.lag(ctx)
		if err != nil || left == 0 || time.Now().After(deadline) {
			return left, err
		}
		if err := pause.For(ctx, 50*time.Millisecond); err != nil {
			return left, err
		}
	}
}

// fill has devices send until a backlog waits.
func (t *target) fill(ctx context.Context) error {
	for range maxFills {
		lag, err := t.lag(ctx)
		if err != nil || lag >= t.opt.Backlog {
			return err
		}
		if _, err := t.load(ctx, 0, min(5*time.Second, t.opt.Duration)); err != nil {
			return err
		}
	}
	return fmt.Errorf("bench: after %d turns there is no backlog of %d records", maxFills, t.opt.Backlog)
}

// cpu is what the node has used, in seconds.
func (t *target) cpu() (float64, error) {
	p, err := probe.CPU(t.node.PID())
	return p.CPUS(), err
}

var _ outlets.Outlet = place{}
