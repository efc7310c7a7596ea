package store

import (
	"strings"
	"sync"
	"time"

	"edgeloop/backbone/names"
)

// commandSet is the set of devices for which commands may wait, 56 bytes and the map's share
// for each, and what waits for each tenant. An entry goes when the device has taken its
// commands or the last of them has expired.
type commandSet struct {
	mu sync.RWMutex
	// Guarded by mu.
	waiting map[names.Key]waitingCommand
	sweepAt int // size at which the expired are removed next
	tenants map[string]*tally
	bytes   int64             // of all tenants, with what is claimed
	untold  map[uint64]*claim // stored here, of which the stream has not told yet, by sequence
}

type waitingCommand struct {
	seq     uint64 // of the newest, in the stream
	heard   uint64 // up to here they are counted: the stream tells them in order
	expires int64  // of the one that lives longest, Unix milliseconds
	tally   *tally
	count   uint32
	bytes   uint32
}

// tally is what waits for the devices of one tenant. Of several nodes each hears what all of
// them store, and knows what itself gave out: so it may be more than there is (recount).
type tally struct {
	// Guarded by mu of the set.
	name            string // as in subjects
	devices         int    // that have an entry
	commands, bytes int64
	claims          int64 // commands that are being stored
	claimed         int64 // bytes of them
}

const firstSweep = 1024

// commandOverhead is what a command takes in the stream beside its data, about.
const commandOverhead = 256

func sizeOf(data int) int64 { return int64(data) + commandOverhead }

// tokenOf is the tenant of a subject, as it stands there.
func tokenOf(subject string) string {
	tenant, _, _ := strings.Cut(strings.TrimPrefix(subject, names.Down), ".")
	return tenant
}

// untoldMost is how long a claim stands for a command of which the stream does not tell: one that
// was given out before, here or by another node, or under an id that had been stored already.
const untoldMost = 30 * time.Second

// stored notes that a command waits for a device. Its claim stands until the stream tells of
// it, so that the tenant cannot use its room twice meanwhile.
func (s *commandSet) stored(subject string, seq uint64, expires int64, room *claim) {
	k := names.KeyOf(subject)
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.addLocked(k, tokenOf(subject), seq, expires)
	if _, twice := s.untold[seq]; twice || seq <= w.heard {
		room.dropLocked()
		return
	}
	if s.untold == nil {
		s.untold = make(map[uint64]*claim)
	}
	room.key, room.expires = k, min(expires, time.Now().Add(untoldMost).UnixMilli())
	s.untold[seq] = room
}

// toldLocked ends the claim of a command, and says whether there was one.
func (s *commandSet) toldLocked(seq uint64) bool {
	room := s.untold[seq]
	if room != nil {
		delete(s.untold, seq)
		room.dropLocked()
	}
	return room != nil
}

func (s *commandSet) addLocked(k names.Key, tenant string, seq uint64, expires int64) waitingCommand {
	if s.waiting == nil {
		s.waiting, s.sweepAt = make(map[names.Key]waitingCommand), firstSweep
	}
	w, ok := s.waiting[k]
	if !ok {
		if len(s.waiting) >= s.sweepAt {
			s.sweepLocked(time.Now().UnixMilli())
		}
		w.tally = s.tallyLocked(tenant)
		w.tally.devices++
	}
	w.seq, w.expires = max(w.seq, seq), max(w.expires, expires)
	s.waiting[k] = w
	return w
}

// heard counts a command of which the stream tells, once.
func (s *commandSet) heard(subject string, seq uint64, expires int64, data int) {
	k := names.KeyOf(subject)
	s.mu.Lock()
	defer s.mu.Unlock()
	w := s.addLocked(k, tokenOf(subject), seq, expires)
	s.toldLocked(seq)
	if seq <= w.heard {
		return // a watch that began again
	}
	w.heard = seq
	s.waiting[k] = s.countLocked(w, 1, sizeOf(data))
}

// took notes that one of a device's commands is gone.
func (s *commandSet) took(subject string, seq uint64, data int) {
	k := names.KeyOf(subject)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.toldLocked(seq) {
		return // it was not counted
	}
	if w, ok := s.waiting[k]; ok && w.count > 0 {
		s.waiting[k] = s.countLocked(w, -1, -min(sizeOf(data), int64(w.bytes)))
	}
}

// countLocked adds to what waits for a device and its tenant.
func (s *commandSet) countLocked(w waitingCommand, commands, bytes int64) waitingCommand {
	w.count += uint32(commands) //nolint:gosec // never below 0
	w.bytes += uint32(bytes)    //nolint:gosec // as above; and 64 of them are far below 4 GiB
	w.tally.commands += commands
	w.tally.bytes += bytes
	s.bytes += bytes
	return w
}

// dropLocked removes the entry of a device.
func (s *commandSet) dropLocked(k names.Key, w waitingCommand) {
	s.countLocked(w, -int64(w.count), -int64(w.bytes))
	delete(s.waiting, k)
	w.tally.devices--
	s.releaseLocked(w.tally)
}

func (s *commandSet) sweepLocked(now int64) {
	for k, w := range s.waiting {
		if w.expires <= now {
			s.dropLocked(k, w)
		}
	}
	s.expireLocked(now)
	s.sweepAt = max(firstSweep, 2*len(s.waiting))
}

// expireLocked ends the claims of commands that went before the stream told of them.
func (s *commandSet) expireLocked(now int64) {
	for seq, room := range s.untold {
		if room.expires <= now {
			s.toldLocked(seq)
		}
	}
}

func (s *commandSet) has(subject []byte, now int64) bool {
	k := names.KeyOf(subject)
	s.mu.RLock()
	defer s.mu.RUnlock()
	w, ok := s.waiting[k]
	return ok && w.expires > now
}

func (s *commandSet) latest(subject string) uint64 {
	k := names.KeyOf(subject)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.waiting[k].seq
}

// cleared notes that all commands up to seq are gone; later ones stay.
func (s *commandSet) cleared(subject string, seq uint64) {
	k := names.KeyOf(subject)
	s.mu.Lock()
	defer s.mu.Unlock()
	if w, ok := s.waiting[k]; ok && w.seq <= seq {
		s.dropLocked(k, w)
	}
	for at, room := range s.untold {
		if room.key == k && at <= seq {
			s.toldLocked(at)
		}
	}
}

func (s *commandSet) len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.waiting)
}
