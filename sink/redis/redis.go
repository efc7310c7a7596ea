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

func (s *outlet) send(ctx context.Context, records []sink.Record) (confirmed int, err error) {
	one, release := s.client.Dedicate()
	defer release()
	commands := make(rueidis.Commands, 0, len(records)+2)
	commands = append(commands, one.B().Multi().Build())
	for i := range records {
		commands = append(commands, s.command(one.B(), &records[i]))
	}
	commands = append(commands, one.B().Exec().Build())
	answers := one.DoMulti(ctx, commands...)
	for _, a := range answers[:len(answers)-1] {
		if err := a.Error(); err != nil { // it was not even queued, and EXEC does nothing then
			return 0, err
		}
	}
	each, err := answers[len(answers)-1].ToArray()
	if err != nil {
		return 0, err
	}
	for i := range each {
		err := each[i].Error()
		switch {
		case err == nil:
		case strings.HasPrefix(err.Error(), "WRONGTYPE"):
			return i, &sink.Refusal{Records: 1, Reason: fmt.Sprintf("%s: %s", s.name.Expand(&records[i], nil), err)}
		default:
			return i, err
		}
	}
	return len(each), nil
}

// command is what brings one record. Its position is a field of its own, for who drops what
// comes twice.
func (s *outlet) command(b rueidis.Builder, r *sink.Record) rueidis.Completed {
	body, _ := s.format.Append(nil, r)
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
