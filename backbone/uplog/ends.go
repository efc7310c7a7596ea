package uplog

import (
	"cmp"
	"encoding/binary"
	"sync"
	"sync/atomic"
	"time"

	"edgeloop/backbone/names"
)

// endIndex knows where the embedded log ends for each device: what Last gives. The
// store would be asked for the last record of a device, and read a whole block into
// memory for it: 15,000 devices that return after a restart took twice the size of
// the log. docs/decisions/0023 says how it is made, and what it costs.
//
// It holds what is durable, and nothing else: made of the log's blocks (scan.go), and
// told by the committer after each sync.
type endIndex struct {
	// Atomic.
	ready atomic.Bool   // it knows all that the log holds
	first atomic.Uint64 // the log begins here, as far as is known: what lies before is forgotten

	shards [endShards]endShard
}

type endShard struct {
	mu sync.RWMutex
	// Guarded by mu.
	ends     map[names.Key]end
	sessions map[names.Key]string // Last.Session of those that have one
}

// end is Last without the session, which few devices have.
type end struct {
	seq, epoch, position uint64
	at                   int64
}

const endShards = 64 // a power of two

func newEndIndex() *endIndex {
	x := &endIndex{}
	for i := range x.shards {
		x.shards[i].ends = make(map[names.Key]end)
	}
	return x
}

func (x *endIndex) shard(k names.Key) *endShard {
	return &x.shards[binary.LittleEndian.Uint64(k[:])%endShards]
}

// note tells of a record that is durable. Of two the later in the log counts, in
// whatever order they are told.
func (x *endIndex) note(k names.Key, l Last) {
	s := x.shard(k)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ends[k].position >= l.Position {
		return
	}
	s.ends[k] = end{l.Seq, l.Epoch, l.Position, l.At}
	switch {
	case l.Session == "":
		delete(s.sessions, k)
		return
	case s.sessions == nil:
		s.sessions = make(map[names.Key]string)
	}
	s.sessions[k] = l.Session
}

// noteAll tells of records that are durable, in a row behind a position.
func (x *endIndex) noteAll(items []item, head uint64) {
	now := time.Now().UnixMilli()
	for i := range items {
		it := &items[i]
		if it.event {
			continue
		}
		x.note(names.KeyOf(it.subject), Last{Seq: cmp.Or(it.seq, it.high), Epoch: it.epoch, Position: head + uint64(i) + 1, At: now, Session: it.session})
	}
}

// last is where the log stands with a device, and zero when it holds nothing of it.
func (x *endIndex) last(k names.Key) Last {
	s := x.shard(k)
	s.mu.RLock()
	defer s.mu.RUnlock()
	if e := s.ends[k]; e.position >= x.first.Load() {
		return Last{Seq: e.seq, Epoch: e.epoch, Position: e.position, At: e.at, Session: s.sessions[k]}
	}
	return Last{}
}

// forget drops the devices of which retention has taken the last record: the log
// begins at first now.
func (x *endIndex) forget(first uint64) {
	if first <= x.first.Swap(first) {
		return
	}
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.Lock()
		for k, e := range s.ends {
			if e.position < first {
				delete(s.ends, k)
				delete(s.sessions, k)
			}
		}
		s.mu.Unlock()
	}
}

func (x *endIndex) len() (n int) {
	for i := range x.shards {
		s := &x.shards[i]
		s.mu.RLock()
		n += len(s.ends)
		s.mu.RUnlock()
	}
	return n
}
