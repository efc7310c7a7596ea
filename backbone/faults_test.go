package backbone_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"pgregory.net/rapid"

	"edgeloop/backbone"
)

// A saboteur sits between the committer and the log. Whatever it does there,
// each record must be in the log exactly once, in the order of its device, and
// none may be confirmed before it is there.
func TestCommitter_FaultsNeverLoseDoubleOrReorder(t *testing.T) {
	t.Run("embedded log", func(t *testing.T) {
		s := newSaboteur(restart, refuseStore, dropStore, failStored)
		b := openWith(t, backbone.Config{DataDir: t.TempDir()}, backbone.Seams{Store: s.store})
		s.harm[restart] = func() { _ = backbone.RestartServer(b) }
		checkFaults(t, b, s)
	})
	t.Run("external log", func(t *testing.T) {
		s := newSaboteur(losePublish, failPublish, disconnect, restart, loseAnswer, delayAnswer, falsifyAnswer)
		ext := startExternal(t)
		b := openWith(t, backbone.Config{NATSURL: ext.url}, s.seams())
		s.harm[restart] = ext.restart
		s.harm[disconnect] = func() { _ = backbone.Disconnect(b) }
		checkFaults(t, b, s)
	})
}

func checkFaults(t *testing.T, b *backbone.Backbone, s *saboteur) {
	round := 0
	defer func() {
		t.Logf("%d schedules, faults that struck by kind: %v; %+v", round, s.struck, b.Stats())
		for _, f := range s.kinds {
			if s.struck[f] == 0 && round > 50 {
				t.Errorf("fault %d never struck", f)
			}
		}
	}()
	rapid.Check(t, func(rt *rapid.T) {
		round++
		w := workload{tenant: fmt.Sprintf("t%d", round), log: b}
		calls := rapid.SliceOfN(rapid.SliceOfN(rapid.IntRange(0, 5), 1, 12), 1, 12).Draw(rt, "devices of each Append; 5 is unsequenced")
		s.arm(rapid.SliceOfN(rapid.Custom(s.drawAct), 0, 6).Draw(rt, "faults"))
		for _, devices := range calls {
			if err := b.Append(w.records(devices)); err != nil {
				rt.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		if err := b.Flush(ctx); err != nil {
			rt.Fatalf("flush: %v; state %+v", err, b.State())
		}
		s.arm(nil)
		if err := w.check(ctx); err != nil {
			rt.Fatal(err)
		}
	})
}

// fault is one thing that goes wrong.
type fault int

const (
	losePublish   fault = iota // a message never leaves
	failPublish                // the client says that it could not send
	disconnect                 // the connection breaks, in front of the message
	restart                    // the server ends and comes back, in front of the message
	loseAnswer                 // stored, but nobody hears of it
	delayAnswer                // heard only after the next answer
	falsifyAnswer              // stored, but the answer says no
	refuseStore                // a call of the embedded server stores nothing, and says so
	dropStore                  // it stores nothing, and does not say so
	failStored                 // it has stored the record, and says that it failed
	numFaults
)

// act is a fault and how many messages (or answers) pass before it strikes.
type act struct {
	What  fault
	After int
}

func (s *saboteur) drawAct(rt *rapid.T) act {
	return act{rapid.SampledFrom(s.kinds).Draw(rt, "fault"), rapid.IntRange(0, 8).Draw(rt, "after")}
}

type saboteur struct {
	kinds []fault // what it does
	harm  [numFaults]func()

	mu     sync.Mutex
	plan   []act
	held   *nats.Msg
	last   uint64 // where the embedded log ended last
	struck [numFaults]int
}

func newSaboteur(kinds ...fault) *saboteur { return &saboteur{kinds: kinds} }

func (s *saboteur) arm(plan []act) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.plan, s.held = slices.Clone(plan), nil
}

func (s *saboteur) seams() backbone.Seams {
	return backbone.Seams{Publish: s.publish, Hear: s.hear, Timeout: 50 * time.Millisecond}
}

// strikes takes the next fault from the plan if it is due now and is one of the
// given.
func (s *saboteur) strikes(from, to fault) (fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.plan) == 0 || s.plan[0].What < from || s.plan[0].What > to {
		return 0, false
	}
	if s.plan[0].After > 0 {
		s.plan[0].After--
		return 0, false
	}
	f := s.plan[0].What
	s.struck[f]++
	s.plan = s.plan[1:]
	return f, true
}

func (s *saboteur) publish(m *nats.Msg, next func(*nats.Msg) error) error {
	f, ok := s.strikes(losePublish, restart)
	switch {
	case ok && f == losePublish:
		return nil
	case ok && f == failPublish:
		return errors.New("sabotage")
	case ok && s.harm[f] != nil:
		s.harm[f]()
	}
	return next(m)
}

// store sits in front of the embedded server.
func (s *saboteur) store(next func() (uint64, error)) (last uint64, err error) {
	s.mu.Lock()
	last = s.last
	s.mu.Unlock()
	f, ok := s.strikes(restart, failStored)
	switch {
	case ok && f == refuseStore:
		return last, errors.New("sabotage")
	case ok && f == dropStore:
		return last, nil
	case ok && f == restart:
		s.harm[restart]()
	}
	if last, err = next(); ok && f == failStored {
		err = errors.New("sabotage")
	}
	s.mu.Lock()
	s.last = last
	s.mu.Unlock()
	return last, err
}

func (s *saboteur) hear(m *nats.Msg) *nats.Msg {
	s.mu.Lock()
	held := s.held
	s.held = nil
	s.mu.Unlock()
	if held != nil {
		return held // the newer one is lost
	}
	f, ok := s.strikes(loseAnswer, falsifyAnswer)
	switch {
	case !ok:
		return m
	case f == delayAnswer:
		s.mu.Lock()
		s.held = m
		s.mu.Unlock()
	case f == falsifyAnswer:
		no := *m
		no.Data = []byte(`{"error":{"code":503,"err_code":10077,"description":"sabotage"},"stream":"EDGELOOP_UP","seq":0}`)
		return &no
	}
	return nil
}

// workload appends records of a tenant of its own and knows what must come of
// them.
type workload struct {
	tenant string
	log    *backbone.Backbone
	sent   [6][]int // by device: the numbers given to it, in order

	mu       sync.Mutex
	reported [6][]int
	early    []string // records reported that the log did not have
}

const unsequenced = 5

func (w *workload) records(devices []int) []backbone.Record {
	rs := make([]backbone.Record, len(devices))
	for i, d := range devices {
		n := len(w.sent[d]) + 1
		w.sent[d] = append(w.sent[d], n)
		rs[i] = backbone.Record{
			Tenant: w.tenant, Device: fmt.Sprint("d", d), Epoch: 1, Seq: uint64(n), Type: "telemetry",
			Received: 1, Data: fmt.Appendf(nil, `{"n":%d}`, n), Done: reporter{w: w, device: d, n: n},
		}
		if d == unsequenced {
			rs[i].Seq, rs[i].High = 0, uint64(n)
		}
	}
	return rs
}

// reporter hears of one record, on the committer's goroutine, and looks whether
// the log has it already.
type reporter struct {
	unrivalled
	w         *workload
	device, n int
}

func (r reporter) Durable(uint64, int) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var last backbone.Last
	err := errors.New("not asked")
	for err != nil && ctx.Err() == nil {
		last, err = r.w.log.Last(ctx, r.w.tenant, fmt.Sprint("d", r.device))
	}
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	r.w.reported[r.device] = append(r.w.reported[r.device], r.n)
	if err != nil || last.Seq < uint64(r.n) {
		r.w.early = append(r.w.early, fmt.Sprintf("d%d/%d reported, log has %d (%v)", r.device, r.n, last.Seq, err))
	}
}

func (w *workload) check(ctx context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.early) > 0 {
		return fmt.Errorf("confirmed before stored: %v", w.early)
	}
	var stored [6][]int
	read := func() error {
		stored = [6][]int{}
		return w.log.Read(ctx, backbone.ReadOptions{Tenant: w.tenant}, func(_ uint64, line []byte) error {
			var r struct {
				Device string
				Data   struct{ N int }
			}
			err := json.Unmarshal(line, &r)
			d := r.Device[1] - '0'
			stored[d] = append(stored[d], r.Data.N)
			return err
		})
	}
	var away *backbone.UnavailableError
	err := read()
	// The last fault may have broken the connection, or swallowed the question.
	for errors.As(err, &away) || errors.Is(err, context.DeadlineExceeded) {
		select {
		case <-time.After(time.Millisecond):
			err = read()
		case <-ctx.Done():
			return err
		}
	}
	if err != nil {
		return err
	}
	for d := range w.sent {
		if !slices.Equal(w.sent[d], stored[d]) {
			return fmt.Errorf("device %d: sent %v, stored %v", d, w.sent[d], stored[d])
		}
		if !slices.Equal(w.sent[d], w.reported[d]) {
			return fmt.Errorf("device %d: sent %v, reported %v", d, w.sent[d], w.reported[d])
		}
	}
	return nil
}
