package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
)

// MaxLetters is how many refused records are kept of one sink.
const MaxLetters = 10_000

// ErrLettersFull says that MaxLetters refused records of the sink are kept.
var ErrLettersFull = errors.New("backbone: no room for more refused records of this sink: send them again or remove them")

// Letter is a record that a sink's destination refused.
type Letter struct {
	Sink     string          `json:"sink"`
	Log      string          `json:"log"`
	Position uint64          `json:"position"`
	Reason   string          `json:"reason"`
	At       int64           `json:"at"` // Unix milliseconds
	Record   json.RawMessage `json:"record"`
}

// Letters are the dead letters: what sinks could not deliver. Its methods may be called
// from any goroutine.
type Letters struct {
	// Immutable after construction.
	srv *servers.Servers

	mu sync.Mutex
	// Guarded by mu.
	stream jetstream.Stream // nil until the first is needed
}

// NewLetters makes no stream: the first letter does.
func NewLetters(srv *servers.Servers) *Letters { return &Letters{srv: srv} }

func (l *Letters) open(ctx context.Context) (jetstream.Stream, error) {
	l.mu.Lock()
	st := l.stream
	l.mu.Unlock()
	if st != nil {
		return st, nil
	}
	st, err := l.srv.Ensure(ctx, servers.Want{Stream: jetstream.StreamConfig{ // twice at a time does no harm
		Name:                 names.StreamDead,
		Description:          "records that destinations refused",
		Subjects:             []string{names.Dead + ">"},
		Storage:              jetstream.FileStorage,
		MaxMsgsPerSubject:    MaxLetters,
		Discard:              jetstream.DiscardNew,
		DiscardNewPerSubject: true,
		Duplicates:           servers.DedupeWindow,
		AllowDirect:          true,
	}})
	if err == nil {
		err = l.srv.SyncNewStream(names.StreamDead)
	}
	if err != nil {
		return nil, l.srv.OrClosed(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stream = st
	return st, nil
}

// LetterFilter chooses letters; what is empty does not matter.
type LetterFilter struct {
	Tenant, Device string
	Reason         string // a part of what the destination said
}

// Wants says whether a letter is meant.
func (f LetterFilter) Wants(l *Letter) bool {
	if f == (LetterFilter{}) {
		return true
	}
	var of struct{ Tenant, Device string }
	_ = json.Unmarshal(l.Record, &of) // one that is no record is of nobody
	return (f.Tenant == "" || f.Tenant == of.Tenant) && (f.Device == "" || f.Device == of.Device) && strings.Contains(l.Reason, f.Reason)
}

func letterSubject(sink string) string { return string(names.AppendToken([]byte(names.Dead), sink)) }

// Bury keeps a refused record. It is durable when Bury returns nil. The same position
// within DedupeWindow is kept once. ErrLettersFull: nothing was kept.
func (l *Letters) Bury(ctx context.Context, letter Letter) error {
	if _, err := l.open(ctx); err != nil {
		return err
	}
	data, err := l.encode(&letter)
	if err != nil {
		return fmt.Errorf("keep a refused record: %w", err)
	}
	subject := letterSubject(letter.Sink)
	id := subject + " " + letter.Log + "-" + strconv.FormatUint(letter.Position, 10)
	_, err = l.srv.Put(ctx, names.StreamDead, &nats.Msg{Subject: subject, Data: data, Header: nats.Header{headerMsgID: {id}}})
	var api *jetstream.APIError
	if errors.As(err, &api) && api.ErrorCode == codeStoreFailed && servers.BoundReached(api.Description) {
		return ErrLettersFull
	}
	if err != nil {
		return fmt.Errorf("keep a refused record: %w", err)
	}
	return nil
}

// encode gives a letter as it is stored: the record as it is, where it is JSON. One that would
// not fit is a letter without it, because the log has it, and what cannot be kept would hold up the
// sink for ever.
func (l *Letters) encode(letter *Letter) ([]byte, error) {
	if !json.Valid(letter.Record) { // which is why it was refused
		letter.Record, _ = json.Marshal(string(letter.Record)) // of a string it always succeeds
	}
	data, err := encodePlainly(letter)
	if err != nil || int64(len(data)) <= l.srv.Asker.NC.MaxPayload()-servers.RecordOverhead {
		return data, err
	}
	letter.Record = json.RawMessage(`"too large to be kept here: the log has it at this position"`)
	return encodePlainly(letter)
}

// encodePlainly leaves <, > and & as they are: each of them would have six bytes instead of one.
func encodePlainly(letter *Letter) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(letter)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// Each gives fn the letters of a sink with a number above after, oldest first, until fn
// returns false. Numbers grow, with gaps. Record belongs to fn.
func (l *Letters) Each(ctx context.Context, sink string, after uint64, fn func(number uint64, letter Letter) bool) error {
	st, err := l.open(ctx)
	if err != nil {
		return err
	}
	for {
		m, err := st.GetMsg(ctx, after+1, jetstream.WithGetMsgSubject(letterSubject(sink)))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		var letter Letter
		if err == nil {
			err = json.Unmarshal(m.Data, &letter)
		}
		if err != nil {
			return fmt.Errorf("read refused records: %w", l.srv.OrClosed(err))
		}
		if after = m.Sequence; !fn(m.Sequence, letter) {
			return nil
		}
	}
}

// Remove removes a letter of a sink; false: there is none of this number.
func (l *Letters) Remove(ctx context.Context, sink string, number uint64) (bool, error) {
	st, err := l.open(ctx)
	if err != nil {
		return false, err
	}
	m, err := st.GetMsg(ctx, number)
	if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && m.Subject != letterSubject(sink) {
		return false, nil
	}
	if err == nil {
		err = st.DeleteMsg(ctx, number)
	}
	if err == nil {
		err = l.srv.SyncStream(names.StreamDead)
	}
	if err != nil {
		return false, fmt.Errorf("remove a refused record: %w", l.srv.OrClosed(err))
	}
	return true, nil
}

// RemoveAll removes the letters of a sink that there are and that are meant, and says how many.
// After an error those are gone that it has counted.
func (l *Letters) RemoveAll(ctx context.Context, sink string, which LetterFilter) (removed int, err error) {
	var numbers []uint64
	if err := l.Each(ctx, sink, 0, func(number uint64, letter Letter) bool {
		if which.Wants(&letter) {
			numbers = append(numbers, number)
		}
		return ctx.Err() == nil
	}); err != nil {
		return 0, err
	}
	st, err := l.open(ctx)
	if err != nil {
		return 0, err
	}
	for _, number := range numbers {
		if err = st.DeleteMsg(ctx, number); err != nil {
			break
		}
		removed++
	}
	if removed > 0 {
		err = errors.Join(err, l.srv.SyncStream(names.StreamDead))
	}
	if err != nil {
		return removed, fmt.Errorf("remove refused records: %w", l.srv.OrClosed(err))
	}
	return removed, nil
}
