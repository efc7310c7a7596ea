package uplog

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"edgeloop/backbone/servers"
)

// errNoAnswer leaves it unclear what of an attempt was stored, as do
// servers.ErrDisconnected and servers.ErrNoResponders.
var errNoAnswer = errors.New("no answer in time")

// refusal is an answer of the server that says no.
type refusal struct {
	code int // of JetStream's API
	text string
}

func (r *refusal) Error() string { return fmt.Sprintf("refused: %s (%d)", r.text, r.code) }

// Seams is where tests lose, delay and falsify what passes between the committer and
// the log. The zero value changes nothing.
type Seams struct {
	Store   func(next func() (last uint64, err error)) (last uint64, err error) // of a record, by who writes alone
	Publish func(m *nats.Msg, next func(*nats.Msg) error) error
	Hear    func(m *nats.Msg) *nats.Msg // nil: not heard
	Sync    func(next func() error) error
}

// wire carries one attempt at a time to the log and brings its answers back.
type wire struct {
	// Immutable after construction.
	publish func(*nats.Msg) error
	hear    func(*nats.Msg) *nats.Msg // nil but in tests
	answers <-chan *nats.Msg          // of all attempts; stale ones are skipped
	down    <-chan struct{}           // the connection was lost
	closing <-chan struct{}
	timeout time.Duration // how long an answer may take
	inbox   string        // answers come to inbox.ATTEMPT

	// Owned by the goroutine that sends.
	attempt uint64
	timer   *time.Timer
}

// answerQueue holds the answers that nobody has waited for: at most two for each
// attempt, and stale ones are skipped by the next.
const answerQueue = 256

func newWire(c *servers.Conn, closing <-chan struct{}, timeout time.Duration, s *Seams) (*wire, error) {
	answers := make(chan *nats.Msg, answerQueue)
	w := &wire{
		publish: c.NC.PublishMsg,
		hear:    s.Hear,
		answers: answers,
		down:    c.Down,
		closing: closing,
		timeout: timeout,
		timer:   time.NewTimer(timeout),
		inbox:   c.NC.NewInbox(),
	}
	if s.Publish != nil {
		w.publish = func(m *nats.Msg) error { return s.Publish(m, c.NC.PublishMsg) }
	}
	if _, err := c.NC.ChanSubscribe(w.inbox+".*", answers); err != nil {
		return nil, fmt.Errorf("subscribe to answers: %w", err)
	}
	return w, nil
}

// begin opens a new attempt and gives the reply subject of its messages.
func (w *wire) begin() (reply string) {
	w.attempt++
	select {
	case <-w.down: // an old loss
	default:
	}
	return w.reply()
}

func (w *wire) reply() string { return w.inbox + "." + strconv.FormatUint(w.attempt, 36) }

// answer is what the server says to a message.
type answer struct {
	Seq       uint64
	Batch     string
	Count     int
	Duplicate bool
	Error     *struct {
		Code        int `json:"err_code"`
		Description string
	}
}

// await waits for the attempt's next answer that says anything. Its error is a
// *refusal or one of those that leave the attempt unclear.
func (w *wire) await() (answer, error) {
	w.timer.Reset(w.timeout)
	defer w.timer.Stop()
	reply := w.reply()
	for {
		select {
		case m := <-w.answers:
			if w.hear != nil {
				if m = w.hear(m); m == nil {
					continue
				}
			}
			// Nothing is said to a message of a batch that was only staged.
			if m.Subject == reply && (len(m.Data) > 0 || m.Header.Get(servers.HeaderStatus) != "") {
				return readAnswer(m)
			}
		case <-w.down:
			return answer{}, servers.ErrDisconnected
		case <-w.timer.C:
			return answer{}, errNoAnswer
		case <-w.closing:
			return answer{}, servers.ErrClosed
		}
	}
}

func readAnswer(m *nats.Msg) (answer, error) {
	var a answer
	if m.Header.Get(servers.HeaderStatus) == "503" {
		return a, servers.ErrNoResponders
	}
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return a, fmt.Errorf("answer %q: %w", m.Data, err)
	}
	if a.Error != nil {
		return a, &refusal{a.Error.Code, a.Error.Description}
	}
	return a, nil
}
