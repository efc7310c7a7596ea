package sink

import (
	"errors"
	"sync"
)

// Turns brings batches to a destination that confirms each record by itself. Up to a window of
// records are on their way side by side, and of each device one: its next one begins when that
// one is confirmed and a place in the window is free. So what is at the destination of a device
// is, but for what comes twice, always its records up to one of them. The zero value is ready.
type Turns struct {
	// Owned by who calls Send; not written while records are on their way.
	first []int          // the first record of each device
	next  []int          // by record: the next one of its device, 0: none
	last  map[sender]int // the last record so far of each device, while queue runs
	ready chan int       // records whose turn it is; never more than there are devices, so never full

	mu sync.Mutex
	// Guarded by mu.
	open int // devices that have a record that is ready or on its way
	out  Outcome
}

// sender is a device of a tenant.
type sender struct{ tenant, device string }

// An Outcome is what has become of a batch.
type Outcome struct {
	// Confirmed is how many records are, from the front.
	Confirmed int
	// Begun is how many lie between the front and the last one handed over; those behind
	// Confirmed may be at the destination too.
	Begun int
	// Err is why the first one that is not confirmed is not; nil: all are.
	Err error
	// Unclear says that a record failed by something else than a *Refusal. It may be on its
	// way still: give the connection up before it is sent again.
	Unclear bool
}

// Send hands over records, up to window at once, and waits for the outcome of each that it
// began. Once a record has failed nothing behind it is begun; those in front are, so that they are
// confirmed where they can be. hand brings one record, once, and returns nil when it is
// confirmed; it is called by up to window goroutines, and must return soon after the context of
// the attempt ends. The records are borrowed until Send returns, which one goroutine at a time
// calls.
func (t *Turns) Send(records []Record, window int, hand func(*Record) error) Outcome {
	if len(records) == 0 {
		return Outcome{}
	}
	t.queue(records)
	var others sync.WaitGroup
	for range min(window, len(t.first)) - 1 {
		others.Go(func() { t.work(records, hand) })
	}
	t.work(records, hand)
	others.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.out
}

// queue finds whose turn it is, and who comes behind whom.
func (t *Turns) queue(records []Record) {
	if t.last == nil {
		t.last = make(map[sender]int, len(records))
	}
	t.next, t.first = t.next[:0], t.first[:0]
	for i := range records {
		from := sender{records[i].Tenant, records[i].Device}
		if before, has := t.last[from]; has {
			t.next[before] = i
		} else {
			t.first = append(t.first, i)
		}
		t.last[from], t.next = i, append(t.next, 0)
	}
	clear(t.last) // names are not held longer than a batch
	t.ready = make(chan int, len(t.first))
	for _, i := range t.first {
		t.ready <- i
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.open, t.out = len(t.first), Outcome{Confirmed: len(records)}
}

// work hands over one record after the other, whosever turn it is, until no device has any.
func (t *Turns) work(records []Record, hand func(*Record) error) {
	for i := range t.ready {
		if t.begin(i) {
			t.end(i, hand(&records[i]))
		} else {
			t.leave()
		}
	}
}

// begin says whether a record may begin: no record in front of it has failed.
func (t *Turns) begin(i int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i >= t.out.Confirmed {
		return false
	}
	t.out.Begun = max(t.out.Begun, i+1)
	return true
}

// end notes what became of a record. A device whose record failed is through.
func (t *Turns) end(i int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err == nil && t.next[i] > 0 {
		t.ready <- t.next[i]
		return
	}
	if err != nil {
		var no *Refusal
		t.out.Unclear = t.out.Unclear || !errors.As(err, &no)
		if i < t.out.Confirmed {
			t.out.Confirmed, t.out.Err = i, err
		}
	}
	t.leaveLocked()
}

// leave notes that a device is through.
func (t *Turns) leave() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaveLocked()
}

func (t *Turns) leaveLocked() {
	if t.open--; t.open == 0 {
		close(t.ready)
	}
}
