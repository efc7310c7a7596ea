package backbone_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"edgeloop/backbone"
)

// roamer is a device that moves between nodes.
type roamer struct {
	name     string
	node     int
	after    uint64 // what the log said when the present connection began
	sessions [2]*session
}

// session is what a node knows of a device. It is a Completion: once a record of
// it was overtaken, it must not hear of another that was stored.
type session struct {
	accepted uint64 // the committer does not look

	mu    sync.Mutex
	lost  bool
	fault error
}

func (s *session) Durable(seq uint64, _ int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lost {
		s.fault = fmt.Errorf("%d was stored behind one that was dropped", seq)
	}
}

func (s *session) Overtaken(uint64, int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = true
}

func (s *session) Wanted() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.lost
}

// Devices move between two nodes at random, while the way of either node to the
// log is closed for a time, or loses and delays what is sent and answered. Each
// device's records are in the log once, in order, without a hole.
func TestFence_DevicesThatMove(t *testing.T) {
	ext := startExternal(t)
	var ways [2]holdable
	var nodes [2]*backbone.Backbone
	var trouble [2]*saboteur
	for i := range nodes {
		trouble[i] = newSaboteur(losePublish, failPublish, disconnect, loseAnswer, delayAnswer, falsifyAnswer)
		seams := trouble[i].seams()
		seams.Publish = func(m *nats.Msg, next func(*nats.Msg) error) error {
			return ways[i].publish(m, func(m *nats.Msg) error { return trouble[i].publish(m, next) })
		}
		nodes[i] = openWith(t, backbone.Config{NATSURL: ext.url, Node: fmt.Sprint("node", i)}, seams)
		trouble[i].harm[disconnect] = func() { _ = backbone.Disconnect(nodes[i]) }
	}
	round, overtaken := 0, 0
	defer func() { t.Logf("%d rounds, %d sessions overtaken", round, overtaken) }()
	rapid.Check(t, func(t *rapid.T) {
		round++
		var all []*session
		tenant := fmt.Sprint("t", round)
		connect := func(r *roamer, node int) {
			last, err := nodes[node].Last(context.Background(), tenant, r.name)
			if err != nil {
				t.Fatal(err)
			}
			s := r.sessions[node]
			if s == nil || !s.Wanted() {
				s = new(session)
				all = append(all, s)
			}
			s.accepted = max(s.accepted, last.Seq)
			r.node, r.after, r.sessions[node] = node, last.Position, s
		}
		send := func(r *roamer) {
			if !r.sessions[r.node].Wanted() {
				connect(r, r.node)
			}
			s := r.sessions[r.node]
			s.accepted++
			err := nodes[r.node].Append([]backbone.Record{{
				Tenant: tenant, Device: r.name, Epoch: 1, Seq: s.accepted, Type: "telemetry", Done: s, After: r.after,
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		var roamers [3]roamer
		for i := range roamers {
			roamers[i].name = fmt.Sprint("d", i)
			connect(&roamers[i], 0)
		}
		for i := range nodes {
			trouble[i].arm(rapid.SliceOfN(rapid.Custom(trouble[i].drawAct), 0, 3).Draw(t, "faults"))
		}
		var closed [2]bool
		for _, step := range rapid.SliceOfN(rapid.IntRange(0, 11), 1, 40).Draw(t, "steps: 0-5 send, 6-8 move, 9-10 close or open a way, 11 flush") {
			switch r := &roamers[step%3]; {
			case step < 6:
				send(r)
			case step < 9:
				connect(r, 1-r.node)
			case step < 11:
				if i := step - 9; closed[i] {
					ways[i].Unlock()
				} else {
					ways[i].Lock()
				}
				closed[step-9] = !closed[step-9]
			default:
				for i, b := range nodes {
					if !closed[i] {
						flushOr(t, b)
					}
				}
			}
		}
		for i, b := range nodes {
			if closed[i] {
				ways[i].Unlock()
			}
			flushOr(t, b)
			trouble[i].arm(nil)
		}
		for _, s := range all {
			if s.fault != nil {
				t.Fatal(s.fault)
			}
			if s.lost {
				overtaken++
			}
		}
		checkRoamers(t, nodes[0], tenant)
	})
	if round > 50 && overtaken == 0 {
		t.Error("no session was ever overtaken")
	}
}

func flushOr(t *rapid.T, b *backbone.Backbone) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	if err := b.Flush(ctx); err != nil {
		t.Fatalf("flush: %v; state %+v", err, b.State())
	}
}

var errOrder = errors.New("a record is missing, doubled or out of order")

func checkRoamers(t *rapid.T, b *backbone.Backbone, tenant string) {
	seqs := map[string][]uint64{}
	err := b.Read(context.Background(), backbone.ReadOptions{Tenant: tenant}, func(_ uint64, line []byte) error {
		var r struct {
			Device string
			Seq    uint64
		}
		err := json.Unmarshal(line, &r)
		seqs[r.Device] = append(seqs[r.Device], r.Seq)
		if err == nil && r.Seq != uint64(len(seqs[r.Device])) {
			err = errOrder
		}
		return err
	})
	if err != nil {
		t.Fatalf("%v: %v", seqs, err)
	}
}
