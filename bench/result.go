package bench

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"edgeloop/bench/fleet"
	"edgeloop/bench/probe"
)

// Schema names the form of a Result; docs/benchmarks.md explains every field.
const Schema = "edgebench.v1"

// Result is one run, as it is written to disk.
type Result struct {
	Schema   string         `json:"schema"`
	Scenario string         `json:"scenario"`
	Started  time.Time      `json:"started"`
	TookS    float64        `json:"took_s"`
	Command  []string       `json:"command"`
	Machine  probe.Machine  `json:"machine"`
	Target   Target         `json:"target"`
	Params   map[string]any `json:"params"`

	// Figures are the headline numbers, by name.
	Figures map[string]float64 `json:"figures"`
	Phases  []Phase            `json:"phases"`
	// Counts are the whole run's; Unsound is what the node did wrong in it.
	Counts     fleet.Counts     `json:"counts"`
	Unsound    int64            `json:"unsound"`
	CloseCodes map[int]int64    `json:"close_codes"`
	Statuses   map[int]int64    `json:"statuses"`
	Reasons    map[string]int64 `json:"reasons"`
	FaultCodes map[string]int64 `json:"fault_codes"`

	Timeline   []Sample    `json:"timeline"`
	Thresholds []Threshold `json:"thresholds"`
	Warnings   []string    `json:"warnings"`
	OK         bool        `json:"ok"`
	Error      string      `json:"error,omitempty"`
}

// Target is what was measured.
type Target struct {
	URL  string   `json:"url"`
	PID  int      `json:"pid,omitempty"`
	Args []string `json:"args,omitempty"`
}

// Phase is one measured part of a run.
type Phase struct {
	Name  string  `json:"name"`
	TookS float64 `json:"took_s"`
	// Counts are what happened in the phase; gauges stand as at its end.
	Counts fleet.Counts `json:"counts"`
	// Latency by histogram name; empty histograms are left out.
	Latency map[string]Latency `json:"latency"`
	// Server is what the server used in the phase, and where it stood at its end.
	Server *probe.Process `json:"server,omitempty"`
	// Heap is the server's after a forced collection, where the scenario asks.
	Heap   *probe.Heap  `json:"heap,omitempty"`
	Kernel probe.Kernel `json:"kernel"`
	// ClientCPUS is the CPU seconds of the fleet itself.
	ClientCPUS float64 `json:"client_cpu_s"`
}

// per divides the server's CPU in the phase by n, in microseconds.
func (p Phase) per(n int64) (total, user, system float64) {
	if p.Server == nil || n == 0 {
		return 0, 0, 0
	}
	user, system = p.Server.UserS*1e6/float64(n), p.Server.SystemS*1e6/float64(n)
	return user + system, user, system
}

// Latency sums up one histogram, in milliseconds.
type Latency struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_ms"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p99_9_ms"`
	P9999 float64 `json:"p99_99_ms"`
	Max   float64 `json:"max_ms"`
	// HDR is the histogram in nanoseconds: HdrHistogram V2, compressed, base64.
	HDR string `json:"hdr"`
}

func milliseconds(ns float64) float64 { return ns / 1e6 }

// latencies sums up what was recorded.
func latencies(h fleet.Histograms) (map[string]Latency, error) {
	encoded, err := h.Encode()
	if err != nil {
		return nil, err
	}
	out := make(map[string]Latency)
	for i, b := range encoded {
		if b == nil {
			continue
		}
		one := h[i]
		at := func(q float64) float64 { return milliseconds(float64(one.ValueAtPercentile(q))) }
		out[fleet.Latency(i).String()] = Latency{
			Count: one.TotalCount(), Mean: milliseconds(one.Mean()),
			P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), P9999: at(99.99),
			Max: milliseconds(float64(one.Max())), HDR: string(b),
		}
	}
	return out, nil
}

// Histogram decodes the recorded histogram.
func (l Latency) Histogram() (*hdrhistogram.Histogram, error) {
	return hdrhistogram.Decode([]byte(l.HDR))
}

// Sample is one point of the timeline.
type Sample struct {
	T      float64 `json:"t_s"`
	Open   int64   `json:"open"`
	Ready  int64   `json:"ready"`
	Sent   int64   `json:"sent"`
	Back   int64   `json:"answered"` // echoes, acks and broadcasts received
	CPUS   float64 `json:"server_cpu_s"`
	RSS    int64   `json:"server_rss_bytes"`
	Kernel int64   `json:"slab_bytes"`
}

// lookup finds a number in the result by its JSON path, as "figures.rtt_p99_ms"
// or "phases.2.latency.round_trip.p99_ms".
func (r *Result) lookup(path string) (float64, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return 0, err
	}
	var at any
	if err := json.Unmarshal(b, &at); err != nil {
		return 0, err
	}
	for _, step := range strings.Split(path, ".") {
		switch v := at.(type) {
		case map[string]any:
			next, ok := v[step]
			if !ok {
				return 0, fmt.Errorf("the result has no %q", path)
			}
			at = next
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i < 0 || i >= len(v) {
				return 0, fmt.Errorf("the result has no %q", path)
			}
			at = v[i]
		default:
			return 0, fmt.Errorf("the result has no %q", path)
		}
	}
	switch v := at.(type) {
	case float64:
		return v, nil
	case bool:
		if v {
			return 1, nil
		}
		return 0, nil
	}
	return 0, fmt.Errorf("%q is not a number", path)
}

// judge checks the thresholds and sets OK.
func (r *Result) judge(exprs []string) error {
	r.OK = r.Unsound == 0 && r.Error == ""
	for _, e := range exprs {
		path, op, want, err := split(e)
		if err != nil {
			return err
		}
		t := Threshold{Expr: e}
		if t.Got, err = r.lookup(path); err != nil {
			t.Reason = err.Error()
		}
		t.OK = err == nil && compare(t.Got, op, want)
		r.OK = r.OK && t.OK
		r.Thresholds = append(r.Thresholds, t)
	}
	return nil
}
