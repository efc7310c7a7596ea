package gateway_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// memStore keeps commands and bans in memory.
type memStore struct {
	// Set before anything runs.
	ask   func(device string) // runs first in Banned, may block
	take  func(device string) // likewise in TakeCommands
	leave func(device string) // likewise in StoreCommand

	// Atomic.
	readFails, removeFails atomic.Int32 // how many calls more fail of ReadCommands and RemoveCommands

	// Guarded by mu.
	mu       sync.Mutex
	commands map[string][]string // "" where one was removed
	taken    map[string]int      // how many of a device's were in front of those
	banned   map[string]string
	revoked  map[string]int64 // tokens of a device issued before are taken back
}

var errStoreAway = errors.New("the store does not answer")

func (s *memStore) StoreCommand(_ context.Context, _, device, id string, payload []byte, _ time.Duration) error {
	if s.leave != nil {
		s.leave(device)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.init()
	s.commands[device] = append(s.commands[device], id+" "+string(payload))
	return nil
}

func (s *memStore) init() {
	if s.taken == nil {
		s.taken = make(map[string]int)
	}
	if s.commands == nil {
		s.commands = make(map[string][]string)
	}
}

func (s *memStore) ReadCommands(_ context.Context, _, device string, after uint64, fn func(position uint64, id string, payload []byte) bool) error {
	if s.readFails.Add(-1) >= 0 {
		return errStoreAway
	}
	s.mu.Lock()
	waiting, before := slices.Clone(s.commands[device]), s.taken[device]
	s.mu.Unlock()
	for i, c := range waiting {
		if at := uint64(before + i + 1); at > after && c != "" {
			if id, payload, _ := cut(c); !fn(at, id, []byte(payload)) {
				break
			}
		}
	}
	return nil
}

func (s *memStore) RemoveCommands(_ context.Context, _, device string, positions []uint64) error {
	if s.removeFails.Add(-1) >= 0 {
		return errStoreAway
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range positions {
		if i := int(at) - s.taken[device] - 1; i >= 0 && i < len(s.commands[device]) {
			s.commands[device][i] = ""
		}
	}
	return nil
}

func (s *memStore) NewestCommand(_, device string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(s.taken[device] + len(s.commands[device]))
}

func (s *memStore) HasCommands(_, device string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.commands[device], func(c string) bool { return c != "" })
}

func (s *memStore) TakeCommands(_ context.Context, _, device string, fits func(id string, payload []byte) bool, fn func(id string, payload []byte)) (more bool, err error) {
	if s.take != nil {
		s.take(device)
	}
	s.mu.Lock()
	waiting := slices.DeleteFunc(slices.Clone(s.commands[device]), func(c string) bool { return c == "" })
	n := 0
	for ; n < len(waiting); n++ {
		if id, payload, _ := cut(waiting[n]); !fits(id, []byte(payload)) {
			break
		}
	}
	s.init()
	s.taken[device] += len(s.commands[device]) - len(waiting) + n
	s.commands[device] = waiting[n:]
	s.mu.Unlock()
	for _, c := range waiting[:n] {
		id, payload, _ := cut(c)
		fn(id, []byte(payload))
	}
	return n < len(waiting), nil
}

func cut(s string) (string, string, bool) {
	i := slices.Index([]byte(s), ' ')
	return s[:i], s[i+1:], true
}

func (s *memStore) Banned(_, device string) (string, bool) {
	if s.ask != nil {
		s.ask(device)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	reason, ok := s.banned[device]
	return reason, ok
}

func (s *memStore) Revoked(_, device, _ string, issued int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return issued < s.revoked[device]
}

// ban bans a device for a reason; "" lifts that.
func (s *memStore) ban(device, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if delete(s.banned, device); reason == "" {
		return
	}
	if s.banned == nil {
		s.banned = make(map[string]string)
	}
	s.banned[device] = reason
}
