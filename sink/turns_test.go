package sink_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"edgeloop/sink"
)

// slow is a destination that confirms when and what the test says.
type slow struct {
	waiting map[uint64]chan error // by position: records on their way
	orders  chan handed
}

type handed struct {
	position uint64
	outcome  chan error
}

func (s *slow) hand(r *sink.Record) error {
	outcome := make(chan error)
	s.orders <- handed{r.Position, outcome}
	return <-outcome
}

// onTheirWay is what is on its way, once nothing more begins.
func (s *slow) onTheirWay() (positions []uint64) {
	synctest.Wait()
	for len(s.orders) > 0 {
		h := <-s.orders
		s.waiting[h.position] = h.outcome
	}
	for p := range s.waiting {
		positions = append(positions, p)
	}
	slices.Sort(positions)
	return positions
}

func (s *slow) say(position uint64, err error) {
	s.waiting[position] <- err
	delete(s.waiting, position)
}

// mixed makes records of some devices of two tenants in no order of devices.
func mixed(rng *rand.Rand, n, devices int) (records []sink.Record) {
	for i := range n {
		d := rng.IntN(devices)
		records = append(records, sink.Record{Position: uint64(i + 1), Tenant: fmt.Sprint("t", d%2), Device: fmt.Sprint("d", d/2)})
	}
	return records
}

func owner(r *sink.Record) string { return r.Tenant + " " + r.Device }

// turns is one batch on its way to slow, with what is known of it.
type turns struct {
	t         *testing.T
	records   []sink.Record
	window    int
	confirmed map[uint64]bool
	failed    uint64 // the first position that failed, 0: none
}

// check holds what is on its way against the promise: of a device one record, behind all of its
// earlier ones; nothing begun behind a failure; and as many at once as that allows.
func (b *turns) check(way, before []uint64) {
	b.t.Helper()
	busy, may := map[string]bool{}, 0
	for i := range b.records {
		r := &b.records[i]
		from := owner(r)
		is := slices.Contains(way, r.Position)
		switch {
		case b.confirmed[r.Position]:
			continue
		case is && busy[from]:
			b.t.Errorf("%d of %s is on its way, and an earlier one of it is not confirmed", r.Position, from)
		case is && b.failed != 0 && r.Position > b.failed && !slices.Contains(before, r.Position):
			b.t.Errorf("%d began, although %d has failed", r.Position, b.failed)
		case is || !busy[from] && (b.failed == 0 || r.Position < b.failed):
			may++
		}
		busy[from] = true
	}
	if want := min(may, b.window); len(way) < want || len(way) > b.window {
		b.t.Errorf("%d are on their way of %d that may be, the window is %d", len(way), may, b.window)
	}
}

// run brings the batch through: fails says what becomes of a record, in an order that rng draws.
func (b *turns) run(rng *rand.Rand, send *sink.Turns, fails func(position uint64) error) (out sink.Outcome, stored []uint64) {
	s := &slow{waiting: map[uint64]chan error{}, orders: make(chan handed, len(b.records))}
	done := make(chan struct{})
	go func() {
		defer close(done)
		out = send.Send(b.records, b.window, s.hand)
	}()
	var before []uint64
	for {
		way := s.onTheirWay()
		if !b.t.Failed() {
			b.check(way, before)
		}
		if len(way) == 0 {
			break
		}
		p := way[rng.IntN(len(way))]
		err := fails(p)
		var no *sink.Refusal
		if err == nil || !errors.As(err, &no) && rng.IntN(2) == 0 { // the answer may be what is lost
			stored = append(stored, p)
		}
		if err == nil {
			b.confirmed[p] = true
		} else if b.failed == 0 || p < b.failed {
			b.failed = p
		}
		before = way
		s.say(p, err)
	}
	<-done
	return out, stored
}

// However confirmations are shuffled, and whatever fails in the middle: of each device one
// record is on its way, behind those before it; what is confirmed is so from the front; and what
// the destination has when all has been sent again is the log of each device.
func TestTurns_EachDeviceInOrder(t *testing.T) {
	var send sink.Turns
	for seed := range uint64(200) {
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 12))
			records := mixed(rng, 1+rng.IntN(60), 1+rng.IntN(12))
			window, rate := 1+rng.IntN(8), rng.IntN(5)
			last, all := map[string]uint64{}, map[uint64]bool{}
			for rest := records; len(rest) > 0; {
				b := &turns{t: t, records: rest, window: window, confirmed: map[uint64]bool{}}
				unclear := false
				out, stored := b.run(rng, &send, func(p uint64) error {
					switch rng.IntN(40) {
					case 0, 1, 2, 3:
						if rate > 0 {
							rate--
							unclear = true
							return fmt.Errorf("no answer for %d", p)
						}
					case 4:
						return &sink.Refusal{Records: 1, Reason: fmt.Sprint(p)}
					}
					return nil
				})
				for _, p := range stored {
					r := &records[p-1]
					if !all[p] && p < last[owner(r)] {
						t.Fatalf("seed %d: %d of %s is stored for the first time behind %d", seed, p, owner(r), last[owner(r)])
					}
					all[p], last[owner(r)] = true, max(last[owner(r)], p)
				}
				rest = b.judge(out, unclear, all)
			}
			if len(all) != len(records) {
				t.Errorf("seed %d: %d of %d records are stored or refused", seed, len(all), len(records))
			}
		})
	}
}

// judge holds an outcome against what became of the records, and gives what the engine sends next.
func (b *turns) judge(out sink.Outcome, unclear bool, all map[uint64]bool) (rest []sink.Record) {
	b.t.Helper()
	for _, r := range b.records[:out.Confirmed] {
		if !b.confirmed[r.Position] {
			b.t.Errorf("%d are confirmed from the front, and %d is not", out.Confirmed, r.Position)
		}
	}
	rest = b.records[out.Confirmed:]
	var no *sink.Refusal
	switch refused := errors.As(out.Err, &no); {
	case (out.Err == nil) != (len(rest) == 0), out.Unclear != unclear:
		b.t.Errorf("the outcome is %+v of %d records, unclear: %t", out, len(b.records), unclear)
	case len(rest) > 0 && rest[0].Position != b.failed:
		b.t.Errorf("it stands in front of %d, and %d is the first that failed", rest[0].Position, b.failed)
	case refused && no.Reason != fmt.Sprint(rest[0].Position):
		b.t.Errorf("it stands in front of %d, and %s was refused", rest[0].Position, no.Reason)
	case refused:
		all[rest[0].Position] = true
		return rest[1:]
	}
	for i, r := range b.records {
		if b.confirmed[r.Position] && i >= out.Begun {
			b.t.Errorf("%d is stored, and %d are said to have begun", r.Position, out.Begun)
		}
	}
	return rest
}

// One device goes one after the other on the goroutine of who sends; the window is not more
// than it is said to be; and a batch without records is confirmed.
func TestTurns_OneDevice(t *testing.T) {
	var send sink.Turns
	if out := send.Send(nil, 4, nil); out != (sink.Outcome{}) {
		t.Errorf("nothing is %+v", out)
	}
	records, n := mixed(rand.New(rand.NewPCG(1, 1)), 100, 1), uint64(0)
	out := send.Send(records, 4, func(r *sink.Record) error {
		if n++; r.Position != n { // the race detector sees a second goroutine
			t.Errorf("%d is sent as number %d", r.Position, n)
		}
		return nil
	})
	if out != (sink.Outcome{Confirmed: 100, Begun: 100}) {
		t.Errorf("the outcome is %+v", out)
	}
}
