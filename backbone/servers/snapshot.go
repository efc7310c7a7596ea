package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Snapshot is what the server says of a stream when a snapshot of it begins.
type Snapshot struct {
	Config, State         json.RawMessage // for Restore
	Messages, First, Last uint64
}

const (
	snapshotAPI    = "$JS.API.STREAM.SNAPSHOT."
	restoreAPI     = "$JS.API.STREAM.RESTORE."
	snapshotChunk  = 128 << 10
	snapshotWindow = 1 << 20 // that may be under way
	// snapshotSilence is how long the next piece of a snapshot, or an answer to one, may take.
	snapshotSilence = 30 * time.Second
)

// ErrNoStream says that there is no such stream.
var ErrNoStream = jetstream.ErrStreamNotFound

// apiAnswer is what the answers of the server have in common.
type apiAnswer struct {
	Error *struct {
		Code        int    `json:"code"`
		Description string `json:"description"`
	} `json:"error"`
}

// ask sends a request to the server and decodes its answer into out, which embeds apiAnswer.
func ask(ctx context.Context, c *Conn, subject string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, snapshotSilence)
	defer cancel()
	m, err := c.NC.RequestWithContext(ctx, subject, body)
	if err != nil {
		return err
	}
	if err := refusal(m.Data); err != nil {
		return err
	}
	return json.Unmarshal(m.Data, out)
}

// refusal is the error in an answer, if there is one.
func refusal(answer []byte) error {
	var a apiAnswer
	switch {
	case len(answer) == 0:
	case json.Unmarshal(answer, &a) != nil:
		return fmt.Errorf("the server answers %.80q", answer)
	case a.Error != nil && a.Error.Code == 404:
		return fmt.Errorf("%w: %s", ErrNoStream, a.Error.Description)
	case a.Error != nil:
		return errors.New(a.Error.Description)
	}
	return nil
}

// Snapshot writes a snapshot of a stream, as JetStream makes it, to w, at w's pace, and returns
// what the stream was at its begin: all of that is in it, and perhaps what came meanwhile. The
// stream takes messages all the while. ErrNoStream: there is none, and nothing
// was written.
func (s *Servers) Snapshot(ctx context.Context, stream string, w io.Writer) (Snapshot, error) {
	inbox := s.Reader.NC.NewInbox()
	sub, err := s.Reader.NC.SubscribeSync(inbox)
	if err != nil {
		return Snapshot{}, s.OrClosed(err)
	}
	defer func() { _ = sub.Unsubscribe() }() // of a connection that may be closed
	var of struct {
		Config, State json.RawMessage
	}
	err = ask(ctx, s.Reader, snapshotAPI+stream, map[string]any{
		"deliver_subject": inbox, "no_consumers": true, "chunk_size": snapshotChunk, "window_size": snapshotWindow,
	}, &of)
	if err != nil {
		return Snapshot{}, fmt.Errorf("snapshot of %s: %w", stream, s.OrClosed(err))
	}
	if err := pour(ctx, sub, w); err != nil {
		return Snapshot{}, fmt.Errorf("snapshot of %s: %w", stream, s.OrClosed(err))
	}
	var state struct {
		Messages uint64
		First    uint64 `json:"first_seq"`
		Last     uint64 `json:"last_seq"`
	}
	err = json.Unmarshal(of.State, &state)
	return Snapshot{of.Config, of.State, state.Messages, state.First, state.Last}, err
}

// pour writes the pieces of a snapshot to w.
func pour(ctx context.Context, sub *nats.Subscription, w io.Writer) error {
	for {
		within, cancel := context.WithTimeout(ctx, snapshotSilence)
		m, err := sub.NextMsgWithContext(within)
		cancel()
		if err != nil {
			return err
		}
		if len(m.Data) == 0 {
			if status := m.Header.Get(HeaderStatus); status != "" && status != "204" {
				return fmt.Errorf("the server gave up: %s %s", status, m.Header.Get("Description"))
			}
			return nil
		}
		if _, err := w.Write(m.Data); err != nil {
			return err
		}
		if m.Reply == "" {
			continue // the last piece
		}
		if err := m.Respond(nil); err != nil {
			return err
		}
	}
}

// Restore makes a stream of a snapshot, which fill writes. The stream must not exist.
func (s *Servers) Restore(ctx context.Context, stream string, of Snapshot, fill func(io.Writer) error) error {
	var to struct {
		Subject string `json:"deliver_subject"`
	}
	err := ask(ctx, s.Asker, restoreAPI+stream, map[string]json.RawMessage{"config": of.Config, "state": of.State}, &to)
	if err == nil {
		p := pieces{ctx: ctx, conn: s.Asker, subject: to.Subject}
		if err = fill(&p); err == nil {
			err = p.end()
		}
	}
	if err != nil {
		return fmt.Errorf("restore %s: %w", stream, err)
	}
	return nil
}

// pieces sends what is written to it as pieces of a snapshot.
type pieces struct {
	ctx     context.Context
	conn    *Conn
	subject string
	buf     bytes.Buffer
}

func (p *pieces) Write(b []byte) (int, error) {
	_, _ = p.buf.Write(b) // never fails
	for p.buf.Len() >= snapshotChunk {
		if err := p.send(p.buf.Next(snapshotChunk)); err != nil {
			return 0, err
		}
	}
	return len(b), nil
}

func (p *pieces) send(b []byte) error {
	ctx, cancel := context.WithTimeout(p.ctx, snapshotSilence)
	defer cancel()
	m, err := p.conn.NC.RequestWithContext(ctx, p.subject, b)
	if err != nil {
		return err
	}
	return refusal(m.Data)
}

// end sends the rest, and an empty piece, which is answered when the stream is there. The
// store reads all its blocks for that.
func (p *pieces) end() error {
	if p.buf.Len() > 0 {
		if err := p.send(p.buf.Bytes()); err != nil {
			return err
		}
	}
	m, err := p.conn.NC.RequestWithContext(p.ctx, p.subject, nil)
	if err != nil {
		return err
	}
	return refusal(m.Data)
}
