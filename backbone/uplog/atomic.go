package uplog

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/servers"
)

// atomicLog writes to an external server or cluster, where other nodes write to
// the same stream: each batch is one atomic batch, a batch of one a plain
// message. The server answers once, after one sync if it syncs at all.
//
// After an unclear end (no answer, connection lost) the batch may be stored or
// not, and even in part where the disk of a server without replicas failed
// within the commit. So the log is asked what it holds, and only what is missing
// is sent again. A copy still under way at that time is refused by the server,
// by the ID of its first message. What is found need not be synced, for the
// answer may be missing because the sync failed: a mark that is written and
// synced after it shows that the store is sound.
//
// What another node wrote of a device meanwhile is found by the fence (fence.go).
type atomicLog struct {
	// Immutable after construction.
	wire *wire
	find func(from uint64, it *item, tag string, place int) (bool, error)
	mark nats.Msg // one message for each node, each replacing the last
	// latest says where the last record of a subject is, and gives its headers; any
	// goroutine.
	latest func(subject string) (position uint64, header nats.Header, err error)
	// ensure makes the stream again if it is gone and says where it ends.
	ensure func() (lastSeq uint64, err error)

	// Owned by the committer goroutine.
	limit   int    // records to one batch
	last    uint64 // of the stream, as last answered: what is unclear lies above
	unclear bool   // how the attempt before this one ended
	known   bool   // the server said that it has stored the batch
	absent  bool   // nobody answered: there may be no stream
	numbers []string
	fence   fence
	count   *counters
}

// Headers of nats-server's atomic batches and of its duplicate detection.
const (
	headerBatchID     = "Nats-Batch-Id"
	headerBatchSeq    = "Nats-Batch-Sequence"
	headerBatchCommit = "Nats-Batch-Commit"
	headerMsgID       = "Nats-Msg-Id"
)

const (
	codeWrongLast      = 10071 // another record is the last, of the log or of a subject
	codeBatchTooLarge  = 10199 // the server allows fewer messages in a batch
	codeBatchDuplicate = 10201 // the batch holds a message ID that is stored
	codeIDConflict     = 10158 // a message with that ID was proposed and is not committed
)

var (
	errKnown = errors.New("stored by an earlier attempt")
	// errInProcess says nothing about the log: the leader forgets a proposal when it
	// loses its place, and then the batch may never be stored.
	errInProcess = errors.New("an earlier attempt is still under way")
)

func (l *atomicLog) store(tag string, offset int, items []item) (int, error) {
	items = items[:min(len(items), l.limit)]
	if l.absent {
		last, err := l.ensure()
		if err != nil {
			return 0, err
		}
		l.absent, l.last = false, min(l.last, last)
	}
	if l.unclear {
		n, err := l.settle(tag, offset, items)
		l.absent = nobodyThere(err)
		return n, err
	}
	if lost := sift(items); lost > 0 {
		return lost, nil
	}
	l.fence.plan(items)
	seq, err := l.send(tag, offset, items)
	var no *refusal
	switch {
	case err == nil:
		l.last = seq
		l.fence.stored(items, seq)
		return len(items), nil
	case errors.As(err, &no) && no.code == codeWrongLast:
		return 0, l.review(tag, items, err)
	case errors.As(err, &no):
		if no.code == codeBatchTooLarge {
			l.limit = max(1, l.limit/2)
		}
		return 0, err // nothing was stored
	}
	l.unclear, l.known, l.absent = true, errors.Is(err, errKnown), nobodyThere(err)
	return 0, err
}

// nobodyThere says that err may mean that there is no stream: nobody took the
// message, or nobody knew the stream that was asked about.
func nobodyThere(err error) bool {
	return errors.Is(err, servers.ErrNoResponders) || errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrStreamNotFound)
}

// settle finds out what an attempt with an unclear end has left in the log.
func (l *atomicLog) settle(tag string, offset int, items []item) (int, error) {
	n, err := l.countStored(tag, offset, items)
	l.known = false // it was said of that moment
	if err != nil {
		return 0, err
	}
	if n > 0 {
		// When this fails all is asked again: the log may have another leader then, or
		// have been started again, and have lost what was not synced.
		if err := l.writeMark(); err != nil {
			return 0, err
		}
	}
	l.count.settled.Add(1)
	l.unclear = false
	return n, nil
}

// countStored asks the log for the first of items, then for the last. In this
// order: the batch may be committed between the two questions, and appears whole.
func (l *atomicLog) countStored(tag string, offset int, items []item) (int, error) {
	last := len(items) - 1
	has := func(i int) (bool, error) { return l.find(l.last+1, &items[i], tag, offset+i) }
	first, err := has(0)
	if err != nil {
		return 0, err
	}
	if ok, err := has(last); err != nil || ok {
		return last + 1, err
	}
	if !first && !l.known {
		return 0, nil
	}
	for i := last - 1; i > 0; i-- {
		if ok, err := has(i); err != nil || ok {
			return i + 1, err
		}
	}
	if first {
		return 1, nil
	}
	// The server has stored the batch and holds nothing of it: the operator's
	// retention took it already.
	return last + 1, nil
}

// send makes one attempt. tag names these records for ever: each attempt to
// store them carries it, with offset, the place of items[0] among them.
func (l *atomicLog) send(tag string, offset int, items []item) (lastSeq uint64, err error) {
	reply := l.wire.begin()
	if len(items) == 1 {
		err = l.sendOne(tag, offset, &items[0], reply)
	} else {
		err = l.sendBatch(tag, offset, items, reply)
	}
	if err != nil {
		return 0, fmt.Errorf("%w: %w", servers.ErrDisconnected, err) // some of it may have left
	}
	a, err := l.wire.await()
	var no *refusal
	switch {
	case errors.As(err, &no) && no.code == codeBatchDuplicate, err == nil && a.Duplicate:
		return 0, errKnown
	case errors.As(err, &no) && no.code == codeIDConflict:
		return 0, errInProcess
	case err != nil:
		return 0, err
	case a.Seq == 0 || len(items) > 1 && a.Count != len(items):
		return 0, fmt.Errorf("answer %+v does not fit a batch of %d", a, len(items))
	}
	return a.Seq, nil
}

func (l *atomicLog) sendOne(tag string, offset int, it *item, reply string) error {
	header := nats.Header{headerMsgID: {recordID(tag, offset)}}
	l.fence.set(header, 0)
	return l.wire.publish(&nats.Msg{Subject: it.subject, Data: it.line, Reply: reply, Header: header})
}

func (l *atomicLog) sendBatch(tag string, offset int, items []item, reply string) error {
	// The batch ID is new for each attempt: what an aborted one left staged must
	// not be continued.
	id := recordID(tag, offset)
	number := []string{""}
	header := nats.Header{
		headerBatchID:  {id + "." + strconv.FormatUint(l.wire.attempt, 36)},
		headerBatchSeq: number,
		headerMsgID:    {id},
	}
	m := nats.Msg{Header: header}
	for i := range items {
		number[0] = l.numbers[i+1]
		l.fence.set(header, i)
		m.Subject, m.Data, m.Reply = items[i].subject, items[i].line, ""
		switch i {
		case 0:
			m.Reply = reply // answered with nothing when staged, or with the reason why not
		case len(items) - 1:
			m.Reply = reply
			header[headerBatchCommit] = []string{"1"}
		}
		if err := l.wire.publish(&m); err != nil {
			return err
		}
		delete(header, headerMsgID)
	}
	return nil
}

func (l *atomicLog) writeMark() error {
	l.mark.Reply = l.wire.begin()
	l.mark.Data = time.Now().UTC().AppendFormat(nil, time.RFC3339Nano)
	if err := l.wire.publish(&l.mark); err != nil {
		return fmt.Errorf("%w: %w", servers.ErrDisconnected, err)
	}
	_, err := l.wire.await()
	return err
}

func recordID(tag string, offset int) string { return tag + "." + strconv.Itoa(offset) }

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

// finder looks into the log for one record of a batch, from a sequence of the
// log on.
func finder(ctx context.Context, s jetstream.Stream) func(from uint64, it *item, tag string, place int) (bool, error) {
	return func(from uint64, it *item, tag string, place int) (bool, error) {
		for {
			m, err := s.GetMsg(ctx, from, jetstream.WithGetMsgSubject(it.subject))
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				return false, nil
			}
			if err != nil {
				return false, fmt.Errorf("look for a record: %w", err)
			}
			if at, ok := placeOf(tag, m.Header); ok && at == place {
				return true, nil
			}
			from = m.Sequence + 1
		}
	}
}
