package archive

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/s2"
	store "github.com/nats-io/nats-server/v2/server/archive"
)

// Held is what a stream of a backup really holds.
type Held struct {
	Messages    uint64
	First, Last uint64 // positions; 0: it has none
}

// Check reads a whole backup and returns what it is and what its streams hold. log is the name
// of the stream that must have all that its state says, but for what retention took from its
// front meanwhile.
func Check(from io.Reader, log string) (*Manifest, map[string]Held, error) {
	r, held := NewReader(from), make(map[string]Held)
	for {
		stream, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			held[stream], err = read(r)
		}
		var known *Error
		if err != nil && !errors.As(err, &known) {
			err = &Error{fmt.Sprintf("stream %s cannot be read: %s", stream, err)}
		}
		if err != nil {
			return nil, nil, err
		}
	}
	m, err := r.Manifest()
	if err != nil {
		return nil, nil, err
	}
	s := m.Stream(log)
	if s == nil {
		return nil, nil, &Error{"it has no stream " + log}
	}
	is := held[log]
	switch {
	case s.Last < m.Durable:
		err = &Error{fmt.Sprintf("stream %s ends at %d, %d was acknowledged", log, s.Last, m.Durable)}
	case s.Messages == 0:
	case is.Messages == 0, is.Last < s.Last:
		err = &Error{fmt.Sprintf("stream %s holds nothing behind position %d of %d", log, is.Last, s.Last)}
	case is.Last-is.First+1-is.Messages > s.Last-s.First+1-s.Messages:
		err = &Error{fmt.Sprintf("stream %s lacks records: it has %d from %d to %d", log, is.Messages, is.First, is.Last)}
	}
	return m, held, err
}

// Stream returns what is said of a stream, or nil.
func (m *Manifest) Stream(name string) *Stream {
	for i := range m.Streams {
		if m.Streams[i].Name == name {
			return &m.Streams[i]
		}
	}
	return nil
}

// errNoEnd says that a snapshot has no end.
var errNoEnd = errors.New("its end is missing")

// read reads a snapshot: the state, consumers, the messages, and an entry of nothing.
func read(from io.Reader) (h Held, err error) {
	for r := store.NewReader(s2.NewReader(from)); ; {
		e, err := r.Next()
		if errors.Is(err, io.EOF) {
			return h, errNoEnd
		}
		if err != nil {
			return h, err
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			return h, err
		}
		switch {
		case *e == store.Header{}:
			return h, nil
		case e.Sequence == 0: // no message
		case e.Sequence <= h.Last:
			return h, fmt.Errorf("position %d stands behind %d", e.Sequence, h.Last)
		default:
			if h.First == 0 {
				h.First = e.Sequence
			}
			h.Last, h.Messages = e.Sequence, h.Messages+1
		}
	}
}
