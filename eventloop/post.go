package eventloop

import (
	"errors"
	"sync"

	"edgeloop/wsproto"
)

// ErrClosed is returned for a connection that is closed, or about to be.
var ErrClosed = errors.New("eventloop: connection closed")

// ErrFull is told to a Receiver that was to be admitted when all seats were taken.
var ErrFull = errors.New("eventloop: MaxConnections is reached")

// ErrSlowConsumer is returned when more than Config.OutBuffer waits for a
// connection; it is being closed for it.
var ErrSlowConsumer = errors.New("eventloop: slow consumer, too much is waiting to be written")

// A mail is what another goroutine wants of a connection.
type mail struct {
	c       *Conn
	kind    mailKind
	message Kind
	code    wsproto.CloseCode
	payload []byte // shared, never written
	reason  string
	hello   *Hello
	recv    Receiver
	refusal *Refusal
}

type mailKind uint8

const (
	mailSend mailKind = iota
	mailClose
	mailSlow // more was sent than the peer takes
	mailAdmit
	mailRefuse
	mailEnter   // there is room in the lobby
	mailGiveWay // others need its place there
)

// letters are what was posted to a loop. Mails keep their order. Wakes have none:
// they go apart, so that an ack does not wait behind a broadcast.
type letters struct {
	mails []mail
	wakes []*Conn
}

// mailbox is the only way into a loop from outside. Many posts cost one wake-up
// of the loop.
type mailbox struct {
	mu     sync.Mutex
	full   letters
	posted bool // the loop was told, and has not yet found the box empty
	closed bool // the loop is ending: nothing more is taken
}

func (b *mailbox) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
}

// put leaves m in the box; first says that the loop has to be told. ErrClosed
// means that m was not taken.
func (b *mailbox) put(m mail) (first bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false, ErrClosed
	}
	b.full.mails = append(b.full.mails, m)
	first = !b.posted
	b.posted = true
	return first, nil
}

// putWake is put for a connection that wants to be woken.
func (b *mailbox) putWake(c *Conn) (first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.full.wakes = append(b.full.wakes, c)
	first = !b.posted
	b.posted = true
	return first
}

// takeMails empties the box of mails. spare is what they are filled into from
// now on.
func (b *mailbox) takeMails(spare []mail) []mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	mails := b.full.mails
	b.full.mails = spare
	return mails
}

// takeWakes is the same for wakes.
func (b *mailbox) takeWakes(spare []*Conn) []*Conn {
	b.mu.Lock()
	defer b.mu.Unlock()
	wakes := b.full.wakes
	b.full.wakes = spare
	return wakes
}

// waiting says whether something is in it, or was taken out and the loop not told yet
// that it is empty.
func (b *mailbox) waiting() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.posted
}

// done says whether nothing was put in since it was emptied; only then the next
// put has the loop told again.
func (b *mailbox) done() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.posted = len(b.full.mails)+len(b.full.wakes) > 0
	return !b.posted
}

// post leaves m for the loop of m.c, which is woken once for many posts. Any
// goroutine may call it; it blocks no longer than an append takes.
func (l *loop) post(m mail) error {
	first, err := l.mailbox.put(m)
	if first {
		l.execute(l.turn)
	}
	return err
}

// postWake is post for a wake.
func (l *loop) postWake(c *Conn) {
	if l.mailbox.putWake(c) {
		l.execute(l.turn)
	}
}

func (l *loop) wakeOnLoop(c *Conn) {
	defer c.containOnLoop()
	c.signals.And(^signalWake)
	c.wokenOnLoop()
}

func (l *loop) deliverOnLoop(m mail) {
	c := m.c
	defer c.containOnLoop()
	switch m.kind {
	case mailSend:
		c.queued.Add(-mailCost(m.payload))
		c.sendOnLoop(m.message, m.payload)
	case mailClose:
		c.closeOnLoop(m.code, m.reason)
	case mailSlow:
		c.endOnLoop(CauseSlowConsumer, wsproto.CloseTryAgain)
	case mailAdmit:
		c.admitOnLoop(m.hello, m.recv)
	case mailRefuse:
		c.refuseOnLoop(m.refusal)
		l.s.putHello(m.hello)
	case mailEnter:
		c.letInOnLoop()
	case mailGiveWay:
		c.giveWayOnLoop()
	}
}

// sweep is called once the loop has ended, with what it was not told any more:
// a Receiver that was handed over in time still hears that it is over.
func (l *loop) sweep() {
	for _, m := range append(l.mails.rest(), l.mailbox.takeMails(nil)...) {
		if m.kind == mailAdmit {
			m.c.tellGone(m.recv, &Gone{Cause: CauseShutdown, Code: wsproto.CloseAbnormal, Err: ErrClosed})
		}
	}
}

// tellGone calls Closed for a Receiver that was never admitted, outside of the
// loop's own guard against panics.
func (c *Conn) tellGone(r Receiver, gone *Gone) {
	defer c.contain()
	r.Closed(gone)
}

// mailOverhead is what one message in a mailbox costs beside its bytes: the mail, and
// the header of its frame.
const mailOverhead = 96 + maxFrameHeader

// Cost is what a message that waits takes of OutBuffer.
func Cost(payload []byte) int { return int(mailCost(payload)) }

// mailCost is what a posted message takes of OutBuffer.
func mailCost(payload []byte) int32 {
	return int32(len(payload) + mailOverhead) //nolint:gosec // far below 2 GiB
}
