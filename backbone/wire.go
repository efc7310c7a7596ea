package backbone

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// Headers of nats-server's atomic batches and of its duplicate detection.
const (
	headerBatchID     = "Nats-Batch-Id"
	headerBatchSeq    = "Nats-Batch-Sequence"
	headerBatchCommit = "Nats-Batch-Commit"
	headerMsgID       = "Nats-Msg-Id"
	headerStatus      = "Status"
)

// Error codes of the JetStream API that mean something to the committer.
const (
	codeBatchTooLarge  = 10199 // the server allows fewer messages in a batch
	codeBatchDuplicate = 10201 // the batch holds a message ID that is stored
	codeIDConflict     = 10158 // a message with that ID is on its way
)

var (
	errNoAnswer     = errors.New("no answer in time")
	errDisconnected = errors.New("connection lost")
	errNoResponders = errors.New("nobody takes records: no stream, or no leader")
	errDuplicate    = errors.New("stored by an earlier attempt")
)

// refusal is an answer that says no: nothing of the attempt was stored.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return fmt.Sprintf("refused: %s (%d)", r.text, r.code) }

// wire carries one batch at a time to a stream and brings its one answer back.
// The functions are its seam: tests lose, delay and falsify through them.
type wire struct {
	// Immutable after construction.
	publish func(*nats.Msg) error
	answers chan *nats.Msg // of all attempts; stale ones are skipped
	down    chan struct{}  // capacity 1: the connection was lost
	closing <-chan struct{}
	timeout time.Duration // how long an answer may take
	inbox   string        // answers come to inbox.ATTEMPT
	numbers []string      // "0".."1000"

	// Owned by the goroutine that sends.
	msg     nats.Msg
	attempt uint64
	timer   *time.Timer
}

func newWire(c *clientConn, closing <-chan struct{}, timeout time.Duration) (*wire, error) {
	w := &wire{
		publish: c.nc.PublishMsg,
		answers: make(chan *nats.Msg, 64),
		down:    c.down,
		closing: closing,
		timeout: timeout,
		inbox:   c.nc.NewInbox(),
		numbers: make([]string, serverBatchMax+1),
		timer:   time.NewTimer(time.Hour),
	}
	for i := range w.numbers {
		w.numbers[i] = strconv.Itoa(i)
	}
	if _, err := c.nc.ChanSubscribe(w.inbox+".*", w.answers); err != nil {
		return nil, fmt.Errorf("subscribe to answers: %w", err)
	}
	return w, nil
}

// send publishes items as one atomic batch (one item: as a plain message) and
// waits for the answer. tag names these records for ever: every attempt to store
// them carries it, with offset, the place of items[0] among the tagged records.
//
// nil: all are stored, and synced if the server syncs. *refusal: none is stored.
// Any other error: unclear, ask the log (errDuplicate: some attempt stored the
// first of them).
func (w *wire) send(tag string, offset int, items []item) (lastSeq uint64, err error) {
	w.attempt++
	select {
	case <-w.down: // an old loss
	default:
	}
	if len(items) == 1 {
		err = w.sendOne(tag, offset, &items[0])
	} else {
		err = w.sendBatch(tag, offset, items)
	}
	if err != nil {
		// Some of it may have left.
		return 0, fmt.Errorf("%w: %w", errDisconnected, err)
	}
	return w.await(len(items))
}

func (w *wire) sendOne(tag string, offset int, it *item) error {
	w.msg.Subject, w.msg.Data, w.msg.Reply = it.subject, it.line, w.reply()
	w.msg.Header = nats.Header{headerMsgID: {msgID(tag, offset)}}
	return w.publish(&w.msg)
}

func (w *wire) sendBatch(tag string, offset int, items []item) error {
	// The message ID makes a late copy of this very batch, still under way when
	// a later attempt was stored, be refused by the server. The batch ID is new
	// for each attempt: what an aborted one left staged must not be continued.
	id := msgID(tag, offset)
	number := []string{""}
	header := nats.Header{
		headerBatchID:  {id + "." + strconv.FormatUint(w.attempt, 36)},
		headerBatchSeq: number,
		headerMsgID:    {id},
	}
	reply := w.reply()
	for i := range items {
		number[0] = w.numbers[i+1]
		m := &w.msg
		m.Subject, m.Data, m.Header, m.Reply = items[i].subject, items[i].line, header, ""
		switch i {
		case 0:
			// Answered with nothing when staged, or with the reason why not.
			m.Reply = reply
		case len(items) - 1:
			m.Reply = reply
			header[headerBatchCommit] = []string{"1"}
		}
		if err := w.publish(m); err != nil {
			return err
		}
		if i == 0 {
			delete(header, headerMsgID)
		}
	}
	return nil
}

func (w *wire) reply() string { return w.inbox + "." + strconv.FormatUint(w.attempt, 36) }

func msgID(tag string, offset int) string { return tag + "." + strconv.Itoa(offset) }

func (w *wire) await(count int) (uint64, error) {
	w.timer.Reset(w.timeout)
	defer w.timer.Stop()
	reply := w.reply()
	for {
		select {
		case m := <-w.answers:
			if m.Subject != reply || len(m.Data) == 0 && m.Header.Get(headerStatus) == "" {
				continue
			}
			return readAnswer(m, count)
		case <-w.down:
			return 0, errDisconnected
		case <-w.timer.C:
			return 0, errNoAnswer
		case <-w.closing:
			return 0, ErrClosed
		}
	}
}

func readAnswer(m *nats.Msg, count int) (uint64, error) {
	if m.Header.Get(headerStatus) == "503" {
		return 0, errNoResponders
	}
	var a struct {
		Seq       uint64
		Batch     string
		Count     int
		Duplicate bool
		Error     *struct {
			Code        int `json:"err_code"`
			Description string
		}
	}
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return 0, fmt.Errorf("answer %q: %w", m.Data, err)
	}
	switch {
	case a.Error != nil && (a.Error.Code == codeBatchDuplicate || a.Error.Code == codeIDConflict), a.Duplicate:
		return 0, errDuplicate
	case a.Error != nil:
		return 0, &refusal{a.Error.Code, a.Error.Description}
	case a.Seq == 0 || a.Batch != "" && a.Count != count:
		return 0, fmt.Errorf("answer %q does not fit a batch of %d", m.Data, count)
	}
	return a.Seq, nil
}

// placeOf says which of the records tagged tag a stored message is, by its
// headers.
func placeOf(tag string, header nats.Header) (int, bool) {
	id, position := header.Get(headerBatchID), 1
	if id == "" {
		id = header.Get(headerMsgID)
	} else {
		n, err := strconv.Atoi(header.Get(headerBatchSeq))
		if err != nil {
			return 0, false
		}
		position = n
	}
	rest, ok := strings.CutPrefix(id, tag+".")
	if !ok {
		return 0, false
	}
	offset, _, _ := strings.Cut(rest, ".")
	n, err := strconv.Atoi(offset)
	return n + position - 1, err == nil
}
