package nats

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/sink"
)

// Headers of an atomic batch [NATS ADR-50].
const (
	headerBatchID     = "Nats-Batch-Id"
	headerBatchSeq    = "Nats-Batch-Sequence"
	headerBatchCommit = "Nats-Batch-Commit"
)

// batchMost is how many messages a server takes as one.
const batchMost = 1000

// askWithin is how long the server may take to say what it knows of a stream. Only tests change it.
var askWithin = 2 * time.Second

// taker is a stream that stores batches whole or not at all, and syncs them once.
type taker struct {
	asked    bool     // of this connection
	subjects []string // that it takes; none: it takes no batches, as far as is known
	inbox    string
	answers  *nats.Subscription // to inbox.*

	pause time.Duration // behind the last batch, if it was refused
	again time.Time     // not before is one tried
}

// A batch that is refused is published in vain, and the stream is asked anew what it takes. One may
// be for what is in it; of a stream that refuses all, one is tried less and less often.
const (
	pauseFirst = 100 * time.Millisecond
	pauseMost  = 5 * time.Minute
)

// refused notes that the stream took nothing of a batch. It may be another stream than it was.
func (t *taker) refused() {
	t.asked, t.subjects = false, nil
	t.pause = min(max(2*t.pause, pauseFirst), pauseMost)
	t.again = time.Now().Add(t.pause)
}

// ask finds out whether the stream of a subject takes batches. Where the user may not ask, it
// does not: a server that is too old for them would store what is behind a refused message.
func (s *server) ask(ctx context.Context, subject string) error {
	if s.taker.asked {
		return nil
	}
	s.taker.asked = true
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	ctx, end := s.leave.wait(ctx, "$JS.API.STREAM.NAMES")
	defer end()
	name, err := s.js.StreamNameBySubject(ctx, subject)
	if err != nil {
		return nil //nolint:nilerr // to send them one by one says what is wrong
	}
	ctx, end = s.leave.wait(ctx, "$JS.API.STREAM.INFO."+name)
	defer end()
	stream, err := s.js.Stream(ctx, name)
	if err != nil || !stream.CachedInfo().Config.AllowAtomicPublish {
		return nil //nolint:nilerr // likewise
	}
	if s.taker.answers == nil {
		s.taker.inbox = s.conn.NewInbox()
		if s.taker.answers, err = s.conn.SubscribeSync(s.taker.inbox + ".*"); err != nil {
			return err
		}
	}
	s.taker.subjects = stream.CachedInfo().Config.Subjects
	return nil
}

// together sends records, batchMost at most, as one batch. Stored is false where that cannot be,
// or the stream took none of them: one by one shows why. After an error it is not known.
func (s *server) together(ctx context.Context, records []sink.Record) (stored bool, err error) {
	if len(records) < 2 || time.Now().Before(s.taker.again) {
		return false, nil
	}
	if err := s.ask(ctx, s.subject.Expand(&records[0], subjectToken)); err != nil || len(s.taker.subjects) == 0 {
		return false, err
	}
	messages := make([]*nats.Msg, len(records))
	for i := range records {
		if messages[i] = s.message(&records[i]); !covered(s.taker.subjects, messages[i].Subject) {
			return false, nil // another stream would have a part of the batch
		}
	}
	reply, last := s.asBatch(messages), messages[len(messages)-1]
	if slices.ContainsFunc(messages, s.tooLarge) {
		return false, nil // the client would publish what is in front of it, in vain
	}
	for _, m := range messages {
		if err := s.conn.PublishMsg(m); errors.Is(err, nats.ErrMaxPayload) { // the server has just lowered its limit
			s.taker.refused() // what is not committed it forgets
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	wait, end := s.leave.wait(ctx, last.Subject)
	defer end()
	stored, err = s.committed(wait, reply, len(messages))
	if err != nil && errors.Is(context.Cause(wait), nats.ErrPermissionViolation) {
		err = nil // the server did not take the commit
	}
	switch {
	case stored:
		s.taker.pause = 0
	case err == nil: // else Send drops the connection, and what is known of the stream with it
		s.taker.refused()
	}
	return stored, err
}

// asBatch has messages be one batch, and gives the subject on which the stream answers.
func (s *server) asBatch(messages []*nats.Msg) (reply string) {
	id := rand.Text()
	reply = s.taker.inbox + "." + id
	for i, m := range messages {
		m.Header[headerBatchID], m.Header[headerBatchSeq] = []string{id}, []string{strconv.Itoa(i + 1)}
	}
	last := messages[len(messages)-1]
	messages[0].Reply, last.Reply = reply, reply // to the first: nothing, or why it cannot be staged
	last.Header[headerBatchCommit] = []string{"1"}
	return reply
}

// tooLarge says whether the client would not publish a message: it goes by payload and headers.
func (s *server) tooLarge(m *nats.Msg) bool {
	return int64(m.Size()-len(m.Subject)-len(m.Reply)) > s.conn.MaxPayload()
}

// committed waits for the answer to a batch.
func (s *server) committed(ctx context.Context, reply string, count int) (bool, error) {
	for {
		m, err := s.taker.answers.NextMsgWithContext(ctx)
		if err != nil {
			return false, fmt.Errorf("%d records are published together, and the stream does not say whether it has them: %w", count, err)
		}
		switch {
		case m.Subject != reply, len(m.Data) == 0 && m.Header.Get("Status") == "": // of another batch, or staged
			continue
		case len(m.Data) == 0: // no stream
			return false, nil
		}
		var answer struct {
			Error *jetstream.APIError `json:"error"`
			Count int                 `json:"count"`
		}
		if err := json.Unmarshal(m.Data, &answer); err != nil {
			return false, fmt.Errorf("answer to a batch: %w", err)
		}
		if answer.Error == nil && answer.Count != count {
			return false, fmt.Errorf("of a batch of %d records the stream has %d", count, answer.Count)
		}
		return answer.Error == nil, nil
	}
}

// covered says whether a subject is one of those that a stream takes.
func covered(filters []string, subject string) bool {
	for _, filter := range filters {
		if covers(filter, subject) {
			return true
		}
	}
	return false
}

func covers(filter, subject string) bool {
	for {
		want, filterRest, moreWanted := strings.Cut(filter, ".")
		have, rest, more := strings.Cut(subject, ".")
		switch {
		case want == ">":
			return true
		case want != "*" && want != have:
			return false
		case !moreWanted || !more:
			return moreWanted == more
		}
		filter, subject = filterRest, rest
	}
}
