package redis

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/rueidis"

	"edgeloop/sink"
	"edgeloop/sink/keys"
)

// outlet is a Redis that takes records.
type outlet struct {
	// Immutable after construction.
	server server
	stream bool
	name   sink.Template // of a stream or a channel
	format sink.Format
	maxLen string

	// Owned by who sends.
	client rueidis.Client // nil: none
}

// New makes the destination of its keys.
func New(m *keys.Map) sink.Destination {
	s := &outlet{
		server: readServer(m),
		stream: m.Word("mode", "stream", "stream", "publish") == "stream",
		name:   sink.ReadTemplate(m, "key", "edgeloop:{tenant}"),
		format: sink.ReadFormat(m, sink.FormRecord, sink.FormCloudEvent, sink.FormData),
		maxLen: strconv.FormatInt(m.Number("max_len", 1_000_000, 1, 1<<40), 10),
	}
	if m.Has("max_len") && !s.stream {
		m.Fail("max_len", "is of streams: leave it out with mode: publish")
	}
	return s
}

// connect has a client.
func (s *outlet) connect(ctx context.Context) (err error) {
	if s.client == nil {
		s.client, err = s.server.dial(ctx, "edgeloop-sink")
	}
	return err
}

func (s *outlet) drop() {
	if s.client != nil {
		s.client.Close()
	}
	s.client = nil
}

// Send implements sink.Destination.
func (s *outlet) Send(ctx context.Context, records []sink.Record) (int, error) {
	if err := s.connect(ctx); err != nil {
		s.client = nil
		return 0, fmt.Errorf("connect to Redis: %w", err)
	}
	n, err := s.send(ctx, records)
	var no *sink.Refusal
	if err != nil && !errors.As(err, &no) {
		s.drop() // what is still on its way in it must not come behind what is sent again
	}
	return n, err
}

// send sends records in one transaction; to a cluster, which has keys at several nodes, in one
// for each key, in which a device's records are in order. It stops at the first that fails.
func (s *outlet) send(ctx context.Context, records []sink.Record) (confirmed int, err error) {
	said := make([]error, len(records)) // of each record
	for i := range said {
		said[i] = errUnsent
	}
	for _, of := range s.together(records) {
		if err := s.transact(ctx, records, of, said); err != nil {
			said[of[0]] = err
			break
		}
	}
	for i, err := range said {
		switch {
		case err == nil:
			continue
		case strings.HasPrefix(err.Error(), "WRONGTYPE"):
			err = &sink.Refusal{Records: 1, Reason: fmt.Sprintf("%s: %s", s.name.Expand(&records[i], nil), err)}
		case err == errUnsent: //nolint:errorlint // it is this one, or what went wrong behind it
			err = firstFailure(said)
		}
		return i, err
	}
	return len(records), nil
}

// errUnsent says that a record was not sent, because another one failed.
var errUnsent = errors.New("not sent")

// firstFailure is why records are not sent: a failure of the moment, wherever it is.
func firstFailure(said []error) error {
	for _, err := range said {
		if err != nil && err != errUnsent && !strings.HasPrefix(err.Error(), "WRONGTYPE") { //nolint:errorlint // as it is set
			return err
		}
	}
	return errUnsent
}

// together says which records go in one transaction.
func (s *outlet) together(records []sink.Record) (out [][]int) {
	at := map[string]int{}
	for i := range records {
		key := ""
		if s.server.cluster && s.stream {
			key = s.name.Expand(&records[i], nil)
		}
		n, is := at[key]
		if !is {
			n, at[key] = len(out), len(out)
			out = append(out, nil)
		}
		out[n] = append(out[n], i)
	}
	return out
}

// transact sends some records in one transaction, and notes what is said of each. An error is
// one of all of them.
func (s *outlet) transact(ctx context.Context, records []sink.Record, of []int, said []error) error {
	one, release := s.client.Dedicate()
	defer release()
	commands := make(rueidis.Commands, 0, len(of)+2)
	commands = append(commands, one.B().Multi().Build())
	for _, i := range of {
		commands = append(commands, s.command(one.B(), &records[i]))
	}
	commands = append(commands, one.B().Exec().Build())
	answers := one.DoMulti(ctx, commands...)
	for _, a := range answers[:len(answers)-1] {
		if err := a.Error(); err != nil { // it was not even queued, and EXEC does nothing then
			return err
		}
	}
	each, err := answers[len(answers)-1].ToArray()
	if err == nil && len(each) != len(of) {
		err = fmt.Errorf("an answer of %d parts to %d records", len(each), len(of))
	}
	if err != nil {
		return err
	}
	for n, i := range of {
		said[i] = each[n].Error()
	}
	return nil
}

// command is what brings one record. Its position is a field of its own, for who drops what
// comes twice.
func (s *outlet) command(b rueidis.Builder, r *sink.Record) rueidis.Completed {
	body, _ := s.format.Make(r)
	name, line := s.name.Expand(r, nil), rueidis.BinaryString(body)
	if !s.stream {
		return b.Publish().Channel(name).Message(line).Build()
	}
	return b.Xadd().Key(name).Maxlen().Almost().Threshold(s.maxLen).Id("*").
		FieldValue().FieldValue("position", r.ID()).FieldValue("record", line).Build()
}

// Close implements sink.Destination.
func (s *outlet) Close(context.Context) error {
	s.drop()
	return nil
}
