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
	"edgeloop/bench/probe"
	"edgeloop/internal/pause"
)

// target is a node under load, and where its records leave to.
type target struct {
	opt   Options
	dir   string
	node  *node.Node
	sink  string // name; "": none
	place place
}

// newTarget starts a node with a place.
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
	if t.place, err = newPlace(ctx, t, kind, addrs[2], addrs[3]); err != nil {
		return nil, errors.Join(err, os.RemoveAll(t.dir))
	}
	t.node.Flags = append(t.node.Flags, t.place.flags...)
	if t.place.config != "" {
		config := filepath.Join(t.dir, "edgeloop.yaml")
		t.node.Flags = append(t.node.Flags, "--config="+config)
		if err := os.WriteFile(config, []byte(t.place.config), 0o600); err != nil {
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
	t.place.close()
	said := ""
	if code != 0 {
		said = t.node.LogTail(500)
	}
	if err := os.RemoveAll(t.dir); err != nil || code == 0 {
		return err
	}
	return fmt.Errorf("bench: SIGTERM ended the node with exit code %d: %s", code, said)
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
		fmt.Sprintf("--size=%d", o.Size), "--duration=" + d.String(), "--warmup=" + warmup.String(), "--out=" + out,
	}, where...)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
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

// drained waits until all has left, or for as long as it may catch up.
func (t *target) drained(ctx context.Context) (left uint64, err error) {
	for deadline := time.Now().Add(t.opt.CatchUp); ; {
		left, err = t.place.lag(ctx)
		if err != nil || left == 0 || time.Now().After(deadline) {
			return left, err
		}
		if err := pause.For(ctx, 50*time.Millisecond); err != nil {
			return left, err
		}
	}
}

// fillWithin bounds how long a backlog is added to.
const fillWithin = 45 * time.Second

// fill has devices send until so many records wait, or for as long as that may take.
func (t *target) fill(ctx context.Context, backlog uint64) error {
	for deadline := time.Now().Add(fillWithin); ; {
		lag, err := t.place.lag(ctx)
		if err != nil || lag >= backlog || time.Now().After(deadline) {
			return err
		}
		if err := roomy(t.dir, leastLeft); err != nil {
			return err
		}
		if _, err := t.load(ctx, 0, min(4*time.Second, t.opt.Duration)); err != nil {
			return err
		}
	}
}

// cpu is what the node has used, in seconds.
func (t *target) cpu() (float64, error) {
	p, err := probe.CPU(t.node.PID())
	return p.CPUS(), err
}
