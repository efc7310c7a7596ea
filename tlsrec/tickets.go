package tlsrec

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
)

const (
	ticketKeyLen = 32
	// ticketKeysMost is how many keys open tickets: those of a day, the newest included.
	ticketKeysMost = 3
	// ticketEvery is how long a key of our own seals tickets. A thief of a node's keys
	// reads what it sent in sessions that were resumed with them, unless a new
	// secret was agreed on, which TLS 1.3 does: so they do not stay.
	ticketEvery = 12 * time.Hour
)

var errTicketKeys = errors.New("give 1 to 16 lines of 32 bytes in base64, the key that seals first")

// tickets are the keys that session tickets are sealed with, the first, and opened, all.
type tickets struct {
	keys  [][ticketKeyLen]byte
	since time.Time
	own   bool
}

// take puts the keys of a file in force, or, without one, a first key of our own.
func (t *tickets) take(keys [][ticketKeyLen]byte, now time.Time) {
	if t.own = keys == nil; t.own {
		keys = [][ticketKeyLen]byte{newTicketKey()}
	}
	t.keys, t.since = keys, now
}

func newTicketKey() (key [ticketKeyLen]byte) {
	_, _ = rand.Read(key[:]) // never fails
	return key
}

// Rotate makes a new key for session tickets when that of this Server's own is old
// enough; the ones before still open theirs for a while. Keys of a file are their owner's
// to rotate. It is to be called from time to time.
func (s *Server) Rotate(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := &s.tickets
	if !t.own || now.Sub(t.since) < ticketEvery {
		return
	}
	keys := append([][ticketKeyLen]byte{newTicketKey()}, t.keys...)
	for i := ticketKeysMost; i < len(keys); i++ {
		clear(keys[i][:])
	}
	t.keys, t.since = keys[:min(len(keys), ticketKeysMost)], now
	for _, c := range *s.configs.Load() {
		c.SetSessionTicketKeys(t.keys)
	}
}

// WriteTicketKey is a new line for the file of ticket keys.
func WriteTicketKey() string {
	key := newTicketKey()
	return base64.StdEncoding.EncodeToString(key[:]) + "\n"
}

// loadTicketKeys reads the file that nodes share. Its errors quote nothing.
func loadTicketKeys(name string) (keys [][ticketKeyLen]byte, err error) {
	b, err := readSecret(name)
	if err != nil {
		return nil, err
	}
	defer clear(b)
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 || line[0] == '#' {
			continue
		}
		var key [ticketKeyLen]byte
		raw, err := base64.StdEncoding.DecodeString(string(line))
		if err != nil || len(raw) != ticketKeyLen {
			return nil, &FileError{name, fmt.Errorf("line %d: %w", len(keys)+1, errTicketKeys)}
		}
		copy(key[:], raw)
		clear(raw)
		keys = append(keys, key)
	}
	if len(keys) == 0 || len(keys) > 16 {
		return nil, &FileError{name, errTicketKeys}
	}
	return keys, nil
}
