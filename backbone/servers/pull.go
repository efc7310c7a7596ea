package servers

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Pull reads a stream by a consumer of its own, which Close deletes. It gives what
// the stream holds, in order and without a gap, or an error; then the caller begins
// anew behind what it was given. Every wait ends with its context, or when the server
// has been silent for too long. It starts no goroutine.
//
// nats.go's ordered consumer does neither: while it recovers it forgets the context,
// and it leaves its consumers behind.
type Pull struct {
	// Immutable after construction.
	conn     *Conn
	stream   string
	consumer string
	inbox    string
	follow   bool // wait for what comes
	sub      *nats.Subscription
	inbound  chan *nats.Msg
	again    <-chan struct{} // closed when the connection is another one

	// Owned by the goroutine that reads.
	request uint64 // number of the present one
	left    int    // records that it may still bring; 0: there is none under way
	seen    uint64 // records that came in all, as the server counts
	Pending uint64 // records behind the last one
	large   bool   // the next record is larger than readAheadBytes
	timer   *time.Timer
}

// Delivery is one message of a stream.
type Delivery struct {
	*nats.Msg

	Position uint64
	Pending  uint64 // how many there are behind it
}

// A reader has at most so many records and bytes under way, but for one record that
// is larger by itself. With as many readers as there may be that is far from the
// 64 MiB at which the server cuts a connection off.
const (
	readAhead      = 500
	readAheadBytes = 1 << 20
)

// HeaderStatus is what the server answers with instead of a message.
const HeaderStatus = "Status"

const (
	pullExpires = 30 * time.Second // of one request of a reader that follows
	pullSilence = 10 * time.Second // after which the server counts as silent
	pullBeats   = 5                // heartbeats that it sends in twice that time
	// consumerIdle is when the server deletes the consumer of a node that is gone.
	consumerIdle = time.Minute
	deleteWithin = time.Second
)

var (
	errReaderSilent = errors.New("the server is silent")
	errReaderGap    = errors.New("a record is missing")
	errReaderAnew   = errors.New("the connection is another one")
)

// OpenPull makes the consumer. Follow says whether Next waits for what comes.
func OpenPull(ctx context.Context, conn *Conn, stream string, c jetstream.ConsumerConfig, follow bool) (*Pull, error) {
	c.Name = "edgeloop-" + rand.Text()
	c.AckPolicy = jetstream.AckNonePolicy
	c.InactiveThreshold = consumerIdle
	c.MemoryStorage = true
	c.Replicas = 1
	p := &Pull{
		conn: conn, stream: stream, consumer: c.Name, follow: follow,
		inbox: conn.NC.NewInbox(), inbound: make(chan *nats.Msg, 2*readAhead), again: conn.again(), timer: time.NewTimer(conn.silence),
	}
	var err error
	if p.sub, err = conn.NC.ChanSubscribe(p.inbox+".*", p.inbound); err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	made, err := conn.JS.CreateConsumer(within, stream, c)
	if err != nil {
		p.Close() // the answer alone may be missing
		return nil, err
	}
	p.Pending = made.CachedInfo().NumPending
	return p, nil
}

// Next gives the next message. Without follow it is nil when there are no more. It
// is borrowed until the next call.
func (p *Pull) Next(ctx context.Context) (*Delivery, error) {
	p.timer.Reset(p.conn.silence)
	defer p.timer.Stop()
	for {
		if p.left == 0 {
			if err := p.ask(); err != nil {
				return nil, err
			}
		}
		select {
		case m := <-p.inbound:
			d, end, err := p.take(m)
			if d != nil || end || err != nil {
				return d, err
			}
			p.timer.Reset(p.conn.silence) // it has something to say
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-p.again:
			return nil, errReaderAnew
		case <-p.timer.C:
			return nil, errReaderSilent
		}
	}
}

// ask sends the next request.
func (p *Pull) ask() error {
	var r struct {
		Batch     int           `json:"batch"`
		MaxBytes  int           `json:"max_bytes,omitempty"`
		NoWait    bool          `json:"no_wait,omitempty"`
		Expires   time.Duration `json:"expires,omitempty"`
		Heartbeat time.Duration `json:"idle_heartbeat,omitempty"`
	}
	r.Batch, r.MaxBytes, r.NoWait = readAhead, readAheadBytes, !p.follow
	if p.large {
		r.Batch, r.MaxBytes, p.large = 1, 0, false
	}
	if p.follow {
		r.Expires, r.Heartbeat = pullExpires, 2*p.conn.silence/pullBeats
	}
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	p.request++
	p.left = r.Batch
	return p.conn.NC.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+p.stream+"."+p.consumer, p.reply(), body)
}

func (p *Pull) reply() string { return p.inbox + "." + strconv.FormatUint(p.request, 36) }

// take looks at what came: a message, the end, or neither.
func (p *Pull) take(m *nats.Msg) (d *Delivery, end bool, err error) {
	if m.Reply == "" || m.Header.Get(HeaderStatus) != "" && len(m.Data) == 0 {
		end, err = p.status(m)
		return nil, end, err
	}
	meta, err := m.Metadata()
	if err != nil {
		return nil, false, fmt.Errorf("read a stream: %w", err)
	}
	if p.seen++; meta.Sequence.Consumer != p.seen {
		return nil, false, errReaderGap
	}
	if p.left > 0 {
		p.left--
	}
	p.Pending = meta.NumPending
	return &Delivery{m, meta.Sequence.Stream, meta.NumPending}, false, nil
}

// What the server says of a request.
const (
	statusNoMessages = "404"
	statusTimeout    = "408"
	statusEnded      = "409"
	statusHeartbeat  = "100"
)

func (p *Pull) status(m *nats.Msg) (end bool, err error) {
	code, text := m.Header.Get(HeaderStatus), m.Header.Get("Description")
	switch {
	case code == statusHeartbeat, m.Subject != p.reply(): // an older request is over anyway
		return false, nil
	case code == statusNoMessages && !p.follow:
		return true, nil
	case code == statusNoMessages, code == statusTimeout, code == statusEnded && strings.EqualFold(text, "Batch Completed"):
		p.left = 0
		return false, nil
	case code == statusEnded && strings.EqualFold(text, "Message Size Exceeds MaxBytes"):
		p.large = p.left == readAhead // of this request nothing has come
		p.left = 0
		return false, nil
	case code == "503":
		return false, ErrNoResponders
	}
	return false, fmt.Errorf("read a stream: %s %s", code, text)
}

// Close deletes the consumer, waiting a little for it to be gone.
func (p *Pull) Close() {
	p.timer.Stop()
	_ = p.sub.Unsubscribe() // of a connection that is closed there is none
	ctx, cancel := context.WithTimeout(context.Background(), deleteWithin)
	defer cancel()
	// What is not deleted now, the server deletes when it has been idle.
	_ = p.conn.JS.DeleteConsumer(ctx, p.stream, p.consumer)
}
