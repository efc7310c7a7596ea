package tricks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Trick is one thing that an attacker tries.
type Trick struct {
	Area, Name string
	About      string
	// Want is what a try may come to; anything else is a defect. An entry that ends in "…"
	// stands for all that begin so.
	Want []string
	// Peers try at the same time, each again and again; 0: 8.
	Peers int
	// Records says that it is about records of TLS after the handshake.
	Records bool
	// Slow says that a try lasts as long as the node has patience: Patience.
	Slow bool

	try func(t *try) string
}

// Patience is the --handshake-timeout of a node that is attacked (Fit).
const Patience = 6 * time.Second

// patience bounds one try, and watched the wait for an end that may not come: both are longer
// than the node's own.
const (
	patience = time.Minute
	watched  = Patience + 3*time.Second
)

// areas are the areas in order, and what makes their tricks, of which some are large.
func areas() []area {
	return []area{
		{"tls", []func() []Trick{tlsHandshakes, tlsPeople, tlsRecords}},
		{"proxy", []func() []Trick{proxyTricks}},
		{"opening", []func() []Trick{openings}},
		{"smuggling", []func() []Trick{smuggling}},
		{"frames", []func() []Trick{frameTricks}},
		{"messages", []func() []Trick{messageTricks}},
		{"mqtt", []func() []Trick{mqttTricks, mqttTopics}},
		{"tokens", []func() []Trick{tokenTricks, tokenForms}},
		{"admin", []func() []Trick{adminTricks, adminWeight}},
		{"tenants", []func() []Trick{tenantTricks}},
		{"grpc", []func() []Trick{grpcTricks}},
	}
}

type area struct {
	name string
	make []func() []Trick
}

// Areas are their names.
func Areas() (all []string) {
	for _, a := range areas() {
		all = append(all, a.name)
	}
	return all
}

// Of are the tricks of an area.
func Of(name string) (all []Trick) {
	for _, a := range areas() {
		if a.name == name {
			for _, f := range a.make {
				all = append(all, f()...)
			}
		}
	}
	for i := range all {
		all[i].Area = name
	}
	return all
}

// All are the tricks of all areas.
func All() (all []Trick) {
	for _, name := range Areas() {
		all = append(all, Of(name)...)
	}
	return all
}

// Named finds a trick by AREA/NAME.
func Named(name string) (Trick, bool) {
	area, _, _ := strings.Cut(name, "/")
	for _, t := range Of(area) {
		if t.String() == name {
			return t, true
		}
	}
	return Trick{}, false
}

// String is AREA/NAME.
func (t Trick) String() string { return t.Area + "/" + t.Name }

// Wanted says whether a try may come to this.
func (t Trick) Wanted(outcome string) bool {
	return slices.ContainsFunc(t.Want, func(want string) bool {
		begin, open := strings.CutSuffix(want, "…")
		return outcome == want || open && strings.HasPrefix(outcome, begin)
	})
}

// Run tries once, as peer i, and says what came of it, within a minute.
func (t Trick) Run(ctx context.Context, d *Doors, i int) string {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return t.try(&try{ctx: ctx, doors: d, i: i, trick: t.Name, mayStay: t.Wanted(open)})
}

// try is one try.
type try struct {
	ctx   context.Context
	doors *Doors
	i     int
	trick string
	// mayStay: the node may leave its connection open, which shows by waiting.
	mayStay bool
}

// name is that of the device as whom it comes; the log's check passes over it.
func (t *try) name() string { return fmt.Sprintf("x-%s-%d", t.trick, t.i) }

// Networks from which peers come. Fit tells the node of two of them.
const (
	strangers = 2 // 127.0.2.0/24, nobody in particular
	trusted   = 8 // --trusted-proxies
	proxies   = 9 // --proxy-protocol
	both      = 10
)

// dial connects from nowhere in particular.
func (t *try) dial(addr string) (net.Conn, error) { return t.dialFrom(strangers, addr) }

// dialFrom connects to a node on the loopback, from an address of one of the networks. The
// connection is cut when the try ends.
func (t *try) dialFrom(network byte, addr string) (net.Conn, error) {
	if host, _, err := net.SplitHostPort(addr); err != nil || !net.ParseIP(host).IsLoopback() {
		return nil, fmt.Errorf("fault: only nodes on the loopback are attacked, not %q", addr)
	}
	d := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, network, byte(1+t.i%250))}}
	c, err := d.DialContext(t.ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	_ = c.(*net.TCPConn).SetLinger(0) // only to save ports
	context.AfterFunc(t.ctx, func() { c.Close() })
	if !t.mayStay {
		return c, nil // the end comes, however busy the machine is
	}
	return c, c.SetReadDeadline(time.Now().Add(watched))
}

// Words that several tries come to.
const (
	cut  = "cut"  // the node ended the connection
	open = "open" // it did not, however long the try waited
)

// ended is what an error on a connection means. After a write it may stand for an answer that
// was lost with the connection.
func (t *try) ended(err error) string {
	var timeout net.Error
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return cut
	case t.ctx.Err() != nil, errors.As(err, &timeout) && timeout.Timeout():
		return open
	}
	text := err.Error()
	if _, alert, ok := strings.Cut(text, "remote error: tls: "); ok {
		return "alert: " + alert
	}
	return text
}

// wait reads until the node ends the connection.
func (t *try) wait(r io.Reader) string {
	_, err := io.Copy(io.Discard, r)
	if err == nil {
		return cut
	}
	return t.ended(err)
}

// drip writes one byte after another, slowly, until the node ends the connection.
func (t *try) drip(c net.Conn, text string, every time.Duration) string {
	gone := make(chan string, 1)
	go func() { gone <- t.wait(c) }()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case how := <-gone:
			return how
		case <-tick.C:
			_, _ = c.Write([]byte{text[i%len(text)]}) // seen by the reader
		}
	}
}
