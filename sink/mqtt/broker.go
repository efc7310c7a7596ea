package mqtt

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
	"github.com/eclipse/paho.golang/paho/session/state"
	"github.com/eclipse/paho.golang/paho/store/memory"

	"edgeloop/internal/redact"
	"edgeloop/sink/keys"
)

// broker is where a broker is and how it is spoken to. Immutable after construction.
type broker struct {
	host, clientID, user string
	tls                  bool
	password             keys.Secret
	files                keys.TLS
}

// keepAlive is how often a connection shows that it is alive, in seconds.
const keepAlive = 30

// readBroker reads the keys of a connection. clientID is the client identifier where none is given.
func readBroker(m *keys.Map, clientID string) broker {
	b := broker{
		clientID: m.Text("client_id", clientID),
		user:     m.Text("user", ""),
		password: m.Secret("password"),
	}
	b.readURL(m)
	if b.clientID == "" {
		m.Fail("client_id", "is empty: give a name that no other client of the broker has, or leave the key out")
	}
	if b.user != "" && !b.password.Given() {
		m.Fail("user", "goes with password_file or password_env: give one of them too")
	}
	b.files = m.TLS(b.tls, "mqtts://host:8883")
	return b
}

func (b *broker) readURL(m *keys.Map) {
	given := m.Needed("url", "mqtt://host:1883")
	if given == "" {
		return
	}
	u, err := url.Parse(given)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "mqtt" && u.Scheme != "mqtts" || u.Path != "" && u.Path != "/":
		m.Fail("url", "%s: give mqtt://host:1883 or mqtts://host:8883", redact.URL(given))
		return
	case u.User != nil:
		m.Fail("url", "%s: a secret is not written into the configuration: give user and password_file", redact.URL(given))
		return
	}
	port := map[string]string{"mqtt": "1883", "mqtts": "8883"}[u.Scheme]
	if u.Port() != "" {
		port = u.Port()
	}
	b.host, b.tls = net.JoinHostPort(u.Hostname(), port), u.Scheme == "mqtts"
}

// tlsConfig reads the files of TLS, nil without TLS.
func (b *broker) tlsConfig() (*tls.Config, error) {
	if !b.tls {
		return nil, nil
	}
	host, _, _ := net.SplitHostPort(b.host)
	return b.files.Config(host)
}

// mostOnTheirWay is how many records are on their way at once, whatever a broker would take.
const mostOnTheirWay = 256

// conn is one connection to a broker.
type conn struct {
	*paho.Client
	conn    net.Conn
	state   *session
	largest uint32 // packet that the broker takes; 0: any
	window  int    // records that may be on their way: the broker's Receive Maximum, or mostOnTheirWay
}

// session is the state of the library for one connection, which notes why a broker left: the
// library tells that too, but from a goroutine of its own, too late for the packet at fault.
type session struct {
	*state.State
	lost func() // called when the connection has ended, once or more; nil: nothing
	left atomic.Pointer[packets.Disconnect]
}

func (s *session) ConnectionLost(d *packets.Disconnect) error {
	if d != nil {
		s.left.CompareAndSwap(nil, d)
	}
	if s.lost != nil {
		s.lost()
	}
	return s.State.ConnectionLost(d)
}

// connect connects once. The client identifier and the credentials are put into hello, the
// rest of it is the caller's. lost is called when the connection has ended; nil: nothing.
func (b *broker) connect(ctx context.Context, hello *paho.Connect, conf paho.ClientConfig, lost func()) (*conn, error) {
	password, err := b.password.Read()
	if err != nil {
		return nil, err
	}
	hello.ClientID, hello.KeepAlive = b.clientID, keepAlive
	hello.Username, hello.UsernameFlag = b.user, b.user != ""
	hello.Password, hello.PasswordFlag = []byte(password), b.password.Given()
	c, err := b.dial(ctx)
	if err != nil {
		return nil, err
	}
	s := &session{State: state.New(unkept{}, memory.New()), lost: lost}
	conf.Conn, conf.Session, conf.PacketTimeout = c, s, time.Hour // ctx says how long
	out := &conn{Client: paho.NewClient(conf), conn: c, state: s}
	ack, err := out.Connect(ctx, hello)
	if err != nil {
		_ = s.Close()
		_ = c.Close()
		if ack != nil {
			var said string
			if ack.Properties != nil {
				said = ack.Properties.ReasonString
			}
			err = fmt.Errorf("the broker says %s", reason(ack.ReasonCode, said))
		}
		return nil, err
	}
	out.window = mostOnTheirWay
	if p := ack.Properties; p != nil && p.MaximumPacketSize != nil {
		out.largest = *p.MaximumPacketSize
	}
	if p := ack.Properties; p != nil && p.ReceiveMaximum != nil { // [MQTT5 3.3.4]
		out.window = min(out.window, int(*p.ReceiveMaximum))
	}
	return out, nil
}

func (b *broker) dial(ctx context.Context) (net.Conn, error) {
	conf, err := b.tlsConfig()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second) // with the handshake of TLS
	defer cancel()
	d := net.Dialer{}
	c, err := d.DialContext(ctx, "tcp", b.host)
	if err != nil {
		return nil, err
	}
	p, err := newPrompt(c.(*net.TCPConn)) // as it is of "tcp"
	if err != nil {
		_ = c.Close()
		return nil, err
	}
	if conf == nil {
		return gather(p), nil
	}
	own := tls.Client(p, conf)
	if err := own.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return gather(own), nil
}

// alive says whether the connection has not ended yet.
func (c *conn) alive() bool {
	select {
	case <-c.Done():
		return false
	default:
		return true
	}
}

// during is ctx until the connection ends: the library tells nobody who waits for an answer
// that none will come.
func (c *conn) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-c.Done():
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// goodbyeWithin is how long a broker may take to read a DISCONNECT.
const goodbyeWithin = time.Second

// close says goodbye, if it may be said, and waits for the library to end.
func (c *conn) close(polite bool) {
	by := time.Now()
	if polite {
		by = by.Add(goodbyeWithin)
	}
	_ = c.conn.SetDeadline(by)
	_ = c.Disconnect(&paho.Disconnect{})
	<-c.Done()
	_ = c.state.Close()
}
