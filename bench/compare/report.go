package main

import (
	"encoding/json"
	"slices"
	"time"
)

// report is everything measured; it is also the JSON file.
type report struct {
	Started  time.Time `json:"started"`
	Commit   string    `json:"commit"`
	Command  string    `json:"command"`
	TookS    float64   `json:"took_s"`
	Load     float64   `json:"load"` // average of the minute before
	Runs     []record  `json:"runs"`
	Problems []string  `json:"problems,omitempty"`
	Absent   []string  `json:"absent,omitempty"` // not installed
	plan     plan
}

// MarshalJSON adds the machine, once for all runs.
func (r report) MarshalJSON() ([]byte, error) {
	type plain report
	return json.Marshal(struct {
		plain
		Machine json.RawMessage `json:"machine"`
	}{plain(r), r.machine()})
}

func (r report) machine() json.RawMessage {
	for _, one := range r.Runs {
		if one.machine != nil {
			return one.machine
		}
	}
	return json.RawMessage("{}")
}

// spread is one figure over the rounds.
type spread struct {
	median, min, max float64
	rounds           int
}

// apart says whether two figures differ by more than the rounds do among
// themselves. Of one round nothing is known, so nothing is apart.
func (s spread) apart(o spread) bool {
	return s.rounds > 1 && o.rounds > 1 && (s.max < o.min || o.max < s.min)
}

// of collects one figure of one server; ok is false where it was not measured.
func (r report) of(server, measure, figure string) (s spread, ok bool) {
	var v []float64
	for _, one := range r.Runs {
		if f, ok := one.Figures[figure]; ok && one.Server == server && one.Measure == measure && one.Error == "" {
			v = append(v, f)
		}
	}
	return spreadOf(v), len(v) > 0
}

// spreadOf sorts v.
func spreadOf(v []float64) (s spread) {
	if len(v) == 0 {
		return s
	}
	slices.Sort(v)
	s = spread{median: v[len(v)/2], min: v[0], max: v[len(v)-1], rounds: len(v)}
	if len(v)%2 == 0 {
		s.median = (s.median + v[len(v)/2-1]) / 2
	}
	return s
}

// column is one thing compared: less of it is better.
type column struct {
	title   string // of the overview
	heading string // of its own table
	measure string
	figure  string
	unit    string
	digits  int
	ratio   bool   // to the raw loop with two threads
	mqtt    bool   // of brokers
	part    string // another figure of the same measure, shown beside it
	partIs  string
}

const (
	// physical is the row that ratios are taken to: as many threads as the Go
	// servers use on the two cores they are given.
	physical = "raw-2"
	loopOnly = "edgeloop-echo"
	// engineOnly is what the node's loops are built on, with nothing above it.
	engineOnly = "gnet"
	wholeOne   = "edgeloop-serve"
	nodeMQTT   = "edgeloop-mqtt"
)

// ours is the row of edgeloop that a peer stands beside: echo servers beside the
// echo server, brokers beside the node by MQTT, other whole products and what only the
// node can do beside the node.
func (c column) ours(s server) string {
	switch {
	case s.mqtt:
		return nodeMQTT
	case c.measure == "broadcast" || s.idleOnly:
		return wholeOne
	}
	return loopOnly
}

// lead is a peer that needs less than edgeloop.
type lead struct {
	column
	peer         server
	theirs, ours spread
}

// leads lists every place where a peer needs less than edgeloop, however little.
func (r report) leads() []lead {
	var out []lead
	for _, c := range append(r.columns(), r.mqttColumns()...) {
		for _, s := range r.plan.servers() {
			if s.own || c.mqtt && !s.mqtt {
				continue
			}
			theirs, ok1 := r.of(s.name, c.measure, c.figure)
			ours, ok2 := r.of(c.ours(s), c.measure, c.figure)
			if ok1 && ok2 && theirs.median < ours.median {
				out = append(out, lead{c, s, theirs, ours})
			}
		}
	}
	return out
}

// gaps lists the columns in which edgeloop has no figure to set a peer's beside.
func (r report) gaps() []string {
	var out []string
	for _, c := range r.columns() {
		for _, s := range r.peers() {
			if (s.idleOnly || s.mqtt) && c.measure != "idle" {
				continue
			}
			gap := c.title + " of " + c.ours(s)
			if _, ok := r.of(c.ours(s), c.measure, c.figure); !ok && !slices.Contains(out, gap) {
				out = append(out, gap)
			}
		}
	}
	return out
}

// wrong lists runs in which a server lost or spoiled messages, and failures.
func (r report) wrong() []string {
	out := slices.Clone(r.Problems)
	for _, one := range r.Runs {
		out = append(out, one.wrong()...)
	}
	return out
}

// rows are the servers that were measured, and the nodes among them.
func (r report) rows() (all, nodes []server) {
	measured := make(map[string]bool)
	for _, one := range r.Runs {
		measured[one.Server] = true
	}
	for _, s := range r.plan.servers() {
		if measured[s.name] {
			all = append(all, s)
			if s.node {
				nodes = append(nodes, s)
			}
		}
	}
	return all, nodes
}

// peers are the rows that are not our own.
func (r report) peers() []server {
	all, _ := r.rows()
	return slices.DeleteFunc(all, func(s server) bool { return s.own })
}

// rounds is the number of rounds that were begun.
func (r report) rounds() int {
	n := 0
	for _, one := range r.Runs {
		n = max(n, one.Round)
	}
	return n
}
