package uplog

import (
	"errors"
	"hash/maphash"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// fence knows what must be the last record of each device when the next one is
// stored, on a log that other nodes write too. A device may have moved to another
// node while records of it wait here. They would be stored a second time, behind
// what the device sent there. So the first record of a device in each attempt
// names the position of the one before it, and the server refuses the attempt if
// another is the last. docs/decisions/0013 says why that suffices.
type fence struct {
	// Immutable after construction.
	seed maphash.Seed

	// Owned by the committer goroutine.
	young, old map[uint64]uint64   // by hash of the subject: where this node stored its last record
	seen       map[uint64]struct{} // subjects of the present attempt
	expected   []uint64            // of each record of the present attempt; or unfenced
}

const (
	headerFence = "Nats-Expected-Last-Subject-Sequence"
	unfenced    = 1<<64 - 1
	// fenceMemory is how many devices each of the two generations remembers, at
	// some 40 B. A forgotten one costs a refusal and a question.
	fenceMemory = 1 << 20
)

func newFence() fence {
	return fence{seed: maphash.MakeSeed(), young: make(map[uint64]uint64), seen: make(map[uint64]struct{})}
}

// plan works out expected for an attempt at items. Only the first record of a
// device is fenced: the server takes the others with it or not at all, and allows
// no more.
func (f *fence) plan(items []item) {
	clear(f.seen)
	f.expected = f.expected[:0]
	for i := range items {
		it, want := &items[i], uint64(unfenced)
		key := maphash.String(f.seed, it.subject)
		if _, again := f.seen[key]; !again && it.done != nil && !it.event {
			own, ok := f.young[key]
			if !ok {
				own = f.old[key]
			}
			want = max(it.after, own)
		}
		f.seen[key] = struct{}{}
		f.expected = append(f.expected, want)
	}
}

// set writes the fence of record i to its header.
func (f *fence) set(header nats.Header, i int) {
	if f.expected[i] == unfenced {
		delete(header, headerFence)
		return
	}
	header[headerFence] = []string{strconv.FormatUint(f.expected[i], 10)}
}

// stored notes where items are: in a row, the last at position last.
func (f *fence) stored(items []item, last uint64) {
	for i := range items {
		f.note(items[i].subject, last+1+uint64(i)-uint64(len(items))) //nolint:gosec // small numbers
	}
}

func (f *fence) note(subject string, position uint64) {
	if len(f.young) >= fenceMemory {
		f.old, f.young = f.young, make(map[uint64]uint64)
	}
	f.young[maphash.String(f.seed, subject)] = position
}

// review finds out why a fence refused an attempt, of which nothing was stored. It
// returns nil when it learned something, so that the next attempt is another one.
// What it learned before an error is kept.
func (l *atomicLog) review(tag string, items []item, refused error) error {
	learned := false
	for i, a := range l.askAll(items) {
		it, expected := &items[i], l.fence.expected[i]
		switch {
		case !a.heard:
			continue
		case a.err != nil:
			refused = a.err
			continue
		case a.last == expected:
			continue
		case a.last < expected:
			// Retention or an operator took the record.
			it.after = a.last
			l.fence.note(it.subject, a.last)
		case ownID(tag, a.header):
			// Stored by this node when the end of an attempt was unclear. One that is
			// being stored now the server will know by its ID.
			l.fence.note(it.subject, a.last)
		default:
			it.lost = true
		}
		learned = true
	}
	if learned {
		return nil
	}
	return refused // it was another record's turn at that moment
}

// atOnce is how many questions are under way. Nothing is stored until all are
// answered, so the round trips of a batch count: 32 of them for 1,000 devices.
const atOnce = 32

// lastOf is what the log has last of a device.
type lastOf struct {
	heard  bool // if not, it was not asked
	last   uint64
	header nats.Header
	err    error
}

// askAll asks the log for the last record of each fenced device of an attempt, in
// the order of items, and for no more once a question failed.
func (l *atomicLog) askAll(items []item) []lastOf {
	var next atomic.Int64
	var failed atomic.Bool
	var asking sync.WaitGroup
	answers := make([]lastOf, len(items))
	ask := func() {
		for i := next.Add(1) - 1; i < int64(len(items)) && !failed.Load(); i = next.Add(1) - 1 {
			if l.fence.expected[i] == unfenced {
				continue
			}
			a := &answers[i]
			a.last, a.header, a.err = l.latest(items[i].subject)
			if a.heard = true; a.err != nil {
				failed.Store(true)
			}
		}
	}
	for range min(atOnce, len(items)) {
		asking.Go(ask)
	}
	asking.Wait()
	return answers
}

// ownID says whether a stored message was sent by this start of this node.
func ownID(tag string, header nats.Header) bool {
	base, _, _ := strings.Cut(tag, ".")
	id := header.Get(headerBatchID)
	if id == "" {
		id = header.Get(headerMsgID)
	}
	return strings.HasPrefix(id, base+".")
}

// lookup asks the log for the last record of a subject: its position, 0 for none,
// and its headers.
func (l *Log) lookup(subject string) (uint64, nats.Header, error) {
	m, err := l.up.GetLastMsgForSubject(l.ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	return m.Sequence, m.Header, nil
}
