package kafka

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"edgeloop/sink"
)

// cluster is a Kafka.
type cluster struct {
	settings // immutable after construction

	// Owned by who sends.
	client *kgo.Client // nil: none
	away   *attempt    // on its way; nil: nothing
	stored map[string]bool
}

// attempt is records on their way.
type attempt struct {
	// Immutable after construction.
	ids  []string
	done chan struct{} // closed when the last one has its outcome

	// Of the client until done is closed, then of who sends.
	errs []error

	// Atomic.
	left atomic.Int64
}

// connect has a client of a cluster that answers and lets it in.
func (c *cluster) connect(ctx context.Context) error {
	if c.client != nil {
		return nil
	}
	o, err := c.options()
	if err != nil {
		return err
	}
	client, err := kgo.NewClient(append(
		o,
		kgo.ManualFlushing(), kgo.MaxBufferedRecords(1<<20),
		// What has an answer is not tried again here, and what has none for as long as it takes.
		kgo.RecordRetries(1), kgo.UnknownTopicRetries(1), kgo.RequestRetries(1),
		kgo.RetryBackoffFn(func(int) time.Duration { return 200 * time.Millisecond }),
		kgo.MetadataMinAge(100*time.Millisecond),
	)...)
	if err != nil {
		return err
	}
	if err := client.Ping(ctx); err != nil {
		client.Close()
		return err
	}
	c.client = client
	return nil
}

func (c *cluster) drop() {
	if c.client != nil {
		c.client.Close()
	}
	c.client, c.away = nil, nil
}

// Send implements sink.Destination.
func (c *cluster) Send(ctx context.Context, records []sink.Record) (int, error) {
	if err := c.connect(ctx); err != nil {
		return 0, fmt.Errorf("connect to Kafka: %w", err)
	}
	if _, err := c.settle(ctx); err != nil { // of the attempt before
		return c.front(records), err
	}
	fit, unfit := records, error(nil)
	for i := range records {
		if name := c.topic.Expand(&records[i], topicPart); !topicForm().MatchString(name) {
			fit, unfit = records[:i], &sink.Refusal{Records: 1, Reason: fmt.Sprintf("%q is no name of a topic", name)}
			break
		}
	}
	c.produce(ctx, fit)
	errs, err := c.settle(ctx)
	n := c.front(fit)
	switch {
	case err != nil:
		return n, err
	case n == len(fit):
		return n, unfit
	}
	err = errs[fit[n].ID()]
	if c.topic.Chosen() && c.hasNoPlace(err) {
		return n, &sink.Refusal{Records: 1, Reason: fmt.Sprintf("send to %s: %s", c.topic.Expand(&fit[n], topicPart), err)}
	}
	if refuses(err) {
		return n, &sink.Refusal{Records: atFault(fit[n:], errs), Reason: err.Error()}
	}
	c.drop()
	return n, fmt.Errorf("send to %s: %w", c.topic.Expand(&fit[n], topicPart), err)
}

// produce puts records on their way that are not stored. What the client keeps of them is
// its own: it may outlive the attempt.
func (c *cluster) produce(ctx context.Context, records []sink.Record) {
	a := &attempt{done: make(chan struct{})}
	var todo []*kgo.Record
	for i := range records {
		if id := records[i].ID(); !c.stored[id] {
			a.ids, todo = append(a.ids, id), append(todo, c.record(&records[i], id))
		}
	}
	if len(todo) == 0 {
		return
	}
	a.errs = make([]error, len(todo))
	a.left.Store(int64(len(todo)))
	c.away = a
	for i, r := range todo {
		// A context that ends fails what was not sent yet, and leaves alone what was.
		c.client.Produce(ctx, r, func(_ *kgo.Record, err error) {
			a.errs[i] = err
			if a.left.Add(-1) == 0 {
				close(a.done)
			}
		})
	}
}

// record is what one record is in Kafka.
func (c *cluster) record(r *sink.Record, id string) *kgo.Record {
	value, _ := c.format.Make(r)
	out := &kgo.Record{
		Topic: c.topic.Expand(r, topicPart), Key: []byte(c.key.Expand(r, nil)), Value: value, Timestamp: time.UnixMilli(r.Received),
		Headers: []kgo.RecordHeader{
			{Key: "tenant", Value: []byte(r.Tenant)},
			{Key: "device", Value: []byte(r.Device)},
			{Key: "epoch", Value: strconv.AppendUint(nil, r.Epoch, 10)},
			{Key: "seq", Value: strconv.AppendUint(nil, r.Seq, 10)},
			{Key: "position", Value: []byte(id)},
		},
	}
	for _, p := range append(r.Trace.Pairs(), r.Beside()...) {
		out.Headers = append(out.Headers, kgo.RecordHeader{Key: p.Key, Value: []byte(p.Value)})
	}
	return out
}

// settle waits for the outcome of what is on its way, and says what failed.
func (c *cluster) settle(ctx context.Context) (errs map[string]error, err error) {
	a := c.away
	if a == nil {
		return nil, nil
	}
	if err := c.await(ctx, a); err != nil {
		return nil, fmt.Errorf("%d records are on their way, and Kafka does not say whether they are stored: %w", a.left.Load(), err)
	}
	c.away = nil
	errs = map[string]error{}
	for i, id := range a.ids {
		if errs[id] = a.errs[i]; a.errs[i] == nil {
			c.stored[id] = true
		}
	}
	return errs, nil
}

// await waits until an attempt has its outcome, for as long as there is somebody who could
// say it.
func (c *cluster) await(ctx context.Context, a *attempt) error {
	for {
		round, cancel := context.WithTimeout(ctx, time.Second)
		_ = c.client.Flush(round) // it fails with round alone
		cancel()
		select {
		case <-a.done:
			return nil
		default:
		}
		round, cancel = context.WithTimeout(ctx, 5*time.Second)
		err := c.client.Ping(round)
		cancel()
		if err != nil {
			return err
		}
	}
}

// front says how many records from the front are stored, and forgets them: the engine
// does not bring them again, unless they are wanted again.
func (c *cluster) front(records []sink.Record) (n int) {
	for n < len(records) && c.stored[records[n].ID()] {
		delete(c.stored, records[n].ID())
		n++
	}
	return n
}

// refuses says whether an error is of the record. Of which one of a batch, Kafka does not say.
func refuses(err error) bool {
	for _, one := range []error{kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp, kerr.InvalidTopicException} {
		if errors.Is(err, one) {
			return true
		}
	}
	return false
}

// hasNoPlace says whether an error is of the topic of one record. Each record has its own
// topic then, so it is known which one. A topic that brokers are to make may come yet.
func (c *cluster) hasNoPlace(err error) bool {
	return errors.Is(err, kerr.UnknownTopicOrPartition) && !c.create || errors.Is(err, kerr.TopicAuthorizationFailed)
}

// atFault is among how many records the one is that was refused: 1 if no other was.
func atFault(records []sink.Record, errs map[string]error) int {
	for i := range records[1:] {
		if refuses(errs[records[1+i].ID()]) {
			return len(records)
		}
	}
	return 1
}

// topicForm is compiled when a topic is looked at: it takes much memory.
var topicForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9._-]{1,249}$`) })

// topicPart makes a field part of a topic's name: what may not stand there, and "_" and ".",
// become "_" and two hexadecimal digits, so that no two fields are one. Levels of a topic
// have a "." between them.
func topicPart(field string) string {
	const hex = "0123456789ABCDEF"
	out := make([]byte, 0, len(field)+8)
	for i := range len(field) {
		switch b := field[i]; {
		case b == '/':
			out = append(out, '.')
		case b >= 'a' && b <= 'z', b >= 'A' && b <= 'Z', b >= '0' && b <= '9', b == '-':
			out = append(out, b)
		default:
			out = append(out, '_', hex[b>>4], hex[b&15])
		}
	}
	return string(out)
}

// Close implements sink.Destination. It waits for what is on its way, so that it does not
// come behind what is sent later.
func (c *cluster) Close(ctx context.Context) error {
	_, err := c.settle(ctx)
	c.drop()
	clear(c.stored)
	return err
}
