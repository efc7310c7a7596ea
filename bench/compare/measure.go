package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// record is one measurement: a run of edgebench, cut down to its figures.
type record struct {
	Server   string             `json:"server"`
	Measure  string             `json:"measure"`
	Round    int                `json:"round"`
	TookS    float64            `json:"took_s"`
	Command  []string           `json:"command"`
	Figures  map[string]float64 `json:"figures"`
	Unsound  int64              `json:"unsound"`
	Warnings []string           `json:"warnings,omitempty"`
	Error    string             `json:"error,omitempty"`
	machine  json.RawMessage
}

// wrong says what a reader of the figures has to know.
func (r record) wrong() []string {
	switch at := fmt.Sprintf("round %d, %s %s", r.Round, r.Server, r.Measure); {
	case r.Unsound > 0:
		return []string{fmt.Sprintf("%s: %d messages lost or spoiled", at, r.Unsound)}
	case r.Error != "":
		return []string{at + ": " + strings.Join(strings.Fields(r.Error), " ")}
	}
	return nil
}

// measure is one scenario with its flags.
type measure struct {
	name string
	args []string
	node bool // for the node only
	echo bool // for echo servers only
	cast bool // a broadcast
	mqtt bool // for those that speak MQTT only
	// Of the TLS figures alone: whom it is about, in how many rounds, 0 in all, and with how
	// many connections, 0 as many as there are.
	fits        func(server) bool
	rounds      int
	connections int
}

func measures(p plan) []measure {
	d := fmt.Sprintf("--duration=%ds", p.seconds)
	rate := fmt.Sprintf("--rate=%d", p.rate)
	few := fmt.Sprintf("--steps=%d", max(1, p.connections/20))
	idle := []string{"idle", few, "--settle=10s", "--hold=0s"}
	if p.older != "" {
		idle = append(idle, "--after=10s")
	}
	if p.tls {
		return tlsMeasures(d, few)
	}
	return []measure{
		{name: "idle", args: idle},
		{name: "connect", args: []string{"connect", "--rounds=5"}},
		{name: "echo-1", args: []string{"echo", "--in-flight=1", d}, echo: true},
		{name: "echo-8", args: []string{"echo", "--in-flight=8", d}, echo: true},
		{name: "echo-1k", args: []string{"echo", "--in-flight=1", "--size=1024", d}, echo: true},
		{name: "echo-paced", args: []string{"echo", rate, d}, echo: true},
		{name: "telemetry", args: []string{"telemetry", "--in-flight=8", d}, node: true},
		{name: "telemetry-paced", args: []string{"telemetry", rate, d}, node: true},
		{name: "fanout", args: []string{"singlenode-fanout", d}, mqtt: true},
		{name: "p2p", args: []string{"singlenode-p2p", d}, mqtt: true},
		{name: "sharesub", args: []string{"singlenode-sharesub", d}, mqtt: true},
		{name: "broadcast", args: []string{"broadcast", "--count=20", "--every=50ms"}, cast: true},
	}
}

// applies says whether the plan wants m of s.
func (m measure) applies(p plan, s server) bool {
	if len(p.measures) > 0 && !slices.Contains(p.measures, m.name) {
		return false
	}
	if m.fits != nil {
		return m.fits(s)
	}
	if s.mqtt {
		return !m.echo && !m.cast
	}
	return !m.mqtt && (!m.node || s.node) && (!m.echo || !s.node) && (!m.cast || !s.noBroadcast) && (!s.idleOnly || m.name == "idle")
}

// measureAll starts the servers of a side, takes every measure that applies of
// each, in another order each time, and stops them.
func (r *report) measureAll(ctx context.Context, p plan, side []server, round int) (err error) {
	var procs []*process
	defer func() {
		for _, proc := range procs {
			if stopped := proc.stop(); stopped != nil {
				err = errors.Join(err, fmt.Errorf("%s: %w", proc.name, stopped))
			}
		}
	}()
	for _, s := range side {
		proc, failed := start(ctx, s, p.certs)
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w", s.name, failed))
			continue
		}
		procs = append(procs, proc)
	}
	for i, m := range measures(p) {
		for _, proc := range turned(procs, round+i) {
			if !m.applies(p, proc.server) || m.rounds > 0 && round > m.rounds {
				continue
			}
			fmt.Fprintf(os.Stderr, "%s round %d of %d: %s %s\n", time.Now().UTC().Format(time.TimeOnly), round, p.rounds, proc.name, m.name)
			r.Runs = append(r.Runs, proc.measured(ctx, p, m, round))
			if ctx.Err() != nil {
				return errors.Join(err, ctx.Err())
			}
		}
	}
	return err
}

// measured carries out one measure.
func (p *process) measured(ctx context.Context, pl plan, m measure, round int) record {
	began := time.Now()
	r := p.run(ctx, pl, m)
	r.Round, r.TookS = round, time.Since(began).Seconds()
	return r
}

// run carries out one measure in the server's own protocol.
func (p *process) run(ctx context.Context, pl plan, m measure) record {
	ctx, cancel := context.WithTimeout(ctx, pl.limit)
	defer cancel()
	r := record{Server: p.name, Measure: m.name}
	args := append([]string{}, m.args...)
	connections := cmp.Or(m.connections, pl.connections)
	if p.most > 0 {
		connections = min(connections, p.most)
	}
	args = append(args, "--connections", strconv.Itoa(connections), "--pid", strconv.Itoa(p.cmd.Process.Pid), "--json",
		"--message-timeout=30s") // a peer that stands still for a while is slow, not wrong
	switch {
	case p.mqtt:
		args = append(args, "--url", "mqtt://"+p.addr, "--dialect=mqtt")
	case p.node:
		args = append(args, "--url", "ws://"+p.addr+"/v1/device", "--dialect=json")
	case p.secure:
		args = append(args, "--url", "wss://"+p.addr+"/", "--dialect=raw", "--tls-ca", pl.certs.ca)
		for _, flag := range p.client {
			args = append(args, strings.NewReplacer("DEVICECERT", pl.certs.deviceCert, "DEVICEKEY", pl.certs.deviceKey).Replace(flag))
		}
		if pids := p.frontPIDs(); len(pids) > 0 {
			args = append(args, "--also-pid", strings.Join(pids, ","))
		}
	default:
		args = append(args, "--url", "ws://"+p.addr+"/", "--dialect=raw")
		if m.cast {
			args = append(args, "--via=device")
		}
	}
	if p.node {
		args = append(args, "--data-dir", p.data)
	}
	if p.control {
		args = append(args, "--admin-url", "http://"+p.adm)
	}
	cmd := exec.CommandContext(ctx, "bin/edgebench", args...)
	r.Command = cmd.Args
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	failed := cmd.Run()
	var full struct {
		Figures  map[string]float64 `json:"figures"`
		Unsound  int64              `json:"unsound"`
		Warnings []string           `json:"warnings"`
		Machine  json.RawMessage    `json:"machine"`
	}
	if err := json.Unmarshal(out.Bytes(), &full); err != nil {
		failed = errors.Join(failed, err)
	}
	r.Figures, r.Unsound, r.Warnings, r.machine = full.Figures, full.Unsound, full.Warnings, full.Machine
	if failed != nil {
		r.Error = fmt.Sprintf("%v: %s", failed, lastLines(log.String()))
		fmt.Fprintf(os.Stderr, "compare: %s %s: %s\n", p.name, m.name, r.Error)
	}
	return r
}

func lastLines(s string) string { return strings.TrimSpace(s[max(0, len(s)-400):]) }

// commit is the revision measured, marked when the tree holds more than it.
func commit(ctx context.Context) string {
	b, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	rev := strings.TrimSpace(string(b))
	if d, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--untracked-files=no").Output(); err == nil && len(d) > 0 {
		rev += " with changes"
	}
	return rev
}

// shown is the command as a reader would type it.
func shown(args []string) string {
	return strings.Join(append([]string{filepath.Base(args[0])}, args[1:]...), " ")
}

func goVersion() string { return runtime.Version() }
