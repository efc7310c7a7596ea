package eventloop

import (
	"errors"
	"sync"

	"edgeloop/wsproto"
)

// ErrClosed is returned for a connection that is closed, or about to be.
var ErrClosed = errors.New("eventloop: connection closed")

// ErrSlowConsumer is returned when more than Config.OutBuffer waits for a
// connection; it is being closed for it.
var ErrSlowConsumer = errors.New("eventloop: slow consumer, too much is waiting to be written")

// A mail is what another goroutine wants of a connection.
type mail struct {
	c       *Conn
	kind    mailKind
	code    wsproto.CloseCode
	frame   []byte // shared, never written
	reason  string
	hello   *Hello
	recv    Receiver
	refusal *wsproto.Refusal
}

type mailKind uint8

const (
	mailWake mailKind = iota
	mailSend
	mailClose
	mailAdmit
	mailRefuse
)

// mailbox is the only way into a loop from outside. Order is kept; many posts
// cost one wake-up of the loop.
type mailbox struct {
	mu     sync.Mutex
	full   []mail
	posted bool // the loop was told and has not yet looked
	closed bool // the loop has ended
}

// post leaves m for the loop of m.c, which is woken once for many posts. Any
// goroutine may call it; it blocks no longer than an append takes.
func (l *loop) post(m mail) error {
	b := &l.mailbox
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return ErrClosed
	}
	b.full = append(b.full, m)
	first := !b.posted
	b.posted = true
	b.mu.Unlock()
	if first {
		return l.execute(l.drain)
	}
	return nil
}

// keepMail is how many mails a mailbox may hold without giving the memory back
// after it was emptied.
const keepMail = 1024

// drainOnLoop delivers everything that was posted until now.
func (l *loop) drainOnLoop() {
	b := &l.mailbox
	b.mu.Lock()
	mails := b.full
	b.full = l.spare[:0]
	b.posted = false
	b.mu.Unlock()
	l.spare = nil
	for i := range mails {
		l.deliverOnLoop(&mails[i])
		mails[i] = mail{}
	}
	l.flushOnLoop()
	if cap(mails) <= keepMail {
		l.spare = mails[:0]
	}
}

func (l *loop) deliverOnLoop(m *mail) {
	c := m.c
	defer c.containOnLoop()
	switch m.kind {
	case mailWake:
		c.signals.And(^signalWake)
		c.wokenOnLoop()
	case mailSend:
		c.queued.Add(-int32(len(m.frame)))
		c.sendOnLoop(m.frame)
	case mailClose:
		c.closeOnLoop(m.code, m.reason)
	case mailAdmit:
		c.admitOnLoop(m.hello, m.recv)
	case mailRefuse:
		c.refuseOnLoop(m.refusal)
		l.s.putHello(m.hello)
	}
}
