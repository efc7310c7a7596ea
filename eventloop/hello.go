package eventloop

import (
	"net/netip"
	"time"

	"edgeloop/tlsrec"
	"edgeloop/wsproto"
)

// Acceptor decides, after the opening was read and checked, whether a connection
// may stay.
type Acceptor interface {
	// Accept is called on the connection's loop and must not block. It returns
	// the Receiver to admit the connection at once, or nil to answer later: then
	// exactly one of Hello.Admit and Hello.Refuse must be called, from any
	// goroutine. h belongs to the callee until that call.
	Accept(c *Conn, h *Hello) (Receiver, *Refusal)
}

// Credentials are what a peer presented in its opening, whatever protocol that was
// in. A field that its protocol does not have is empty. The bytes are valid as long
// as the Hello.
type Credentials struct {
	// Listener is the name of the listener by which it came.
	Listener string
	// Remote is the peer's address.
	Remote netip.AddrPort
	// Path, as sent with escapes, and Query, without the '?', say what it asks for.
	Path, Query []byte
	// Host is whom it takes us for, Origin the page whose script it is.
	Host, Origin []byte
	// Authorization is the header field.
	Authorization []byte
	// Bearer is TOKEN of an offered subprotocol "bearer.TOKEN".
	Bearer []byte
	// Certificate is who the peer's certificate stands for, nil where it has none.
	Certificate *tlsrec.Identity
	// Protocol is the subprotocol that was chosen, "" for none of those Offered, which
	// is how many they were without bearer tokens.
	Protocol string
	Offered  int
	// Connect is the CONNECT of a client of MQTT, a whole packet that was decoded
	// without an error. Over WebSocket the other fields are of the request before it;
	// else all but Listener, Remote and Certificate are empty.
	Connect []byte
}

// Hello is one opening that waits for its answer: what the peer presented, and the
// way to admit or refuse it.
type Hello struct {
	Credentials

	conn    *Conn
	block   []byte            // the header block that the fields borrow from; ours
	upgrade wsproto.Handshake // the answer to it
}

// Admit lets the connection stay, and r hear it. If it is already gone, r is told
// so. Any goroutine; h must not be used afterwards.
func (h *Hello) Admit(r Receiver) {
	c := h.conn
	if err := c.loop.post(mail{c: c, kind: mailAdmit, hello: h, recv: r}); err != nil {
		c.tellGone(r, &Gone{Cause: CauseShutdown, Code: wsproto.CloseAbnormal, Err: err})
	}
}

// Refuse turns the peer away. Any goroutine; h must not be used afterwards.
func (h *Hello) Refuse(r *Refusal) {
	c := h.conn
	_ = c.loop.post(mail{c: c, kind: mailRefuse, hello: h, refusal: r})
}

// Refusal is the answer to a peer that is not let in. Each opening has its own words
// for the reasons.
type Refusal struct {
	Reason Reason
	// Text is one line for people.
	Text string
	// RetryAfter is when to come again; 0: nothing is said of that.
	RetryAfter time.Duration
}

// A Reason says why a peer is not let in. The list is closed.
type Reason uint8

// The reasons.
const (
	ReasonMalformed    Reason = iota // what it presented cannot be understood
	ReasonName                       // it calls itself by a name that it cannot have
	ReasonRetain                     // it asks to have something retained
	ReasonUnauthorized               // nobody that is known here, or no proof of it
	ReasonForbidden                  // known, and not allowed
	ReasonNotFound                   // it asks for something that is not here
	ReasonUnavailable                // not now
	ReasonQuota                      // its tenant has as many connections as it may have
	ReasonInternal                   // our fault
	numReasons
)

func (s *Server) getHello(c *Conn) *Hello {
	h, ok := s.hellos.Get().(*Hello)
	if !ok {
		h = new(Hello)
	}
	h.conn = c
	return h
}

// keepBlock is the largest header block whose memory is kept for the next.
const keepBlock = 4 << 10

func (s *Server) putHello(h *Hello) {
	if h != nil && cap(h.block) <= keepBlock {
		h.conn = nil
		s.hellos.Put(h)
	}
}
