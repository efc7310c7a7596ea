package e2e_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"testing"

	"edgeloop/internal/testkit"
)

// Debian's interpreter: the websockets module belongs to it, while another
// python3 may come first on PATH.
const python = "/usr/bin/python3"

// libraries are the WebSocket clients that every device story runs with.
var libraries = map[string]struct {
	name      string
	command   []string
	installed func() bool
}{
	"python": {
		"python3-websockets",
		[]string{python, "py/driver.py"},
		func() bool { return exec.Command(python, "-c", "import websockets").Run() == nil },
	},
	"node": {
		"node with the ws package",
		[]string{"node", "node/driver.js"},
		func() bool { return exec.Command("node", "-e", "require('./node/node_modules/ws')").Run() == nil },
	},
}

// withEachLibrary tells a story once with each client library.
func withEachLibrary(t *testing.T, story func(t *testing.T, lib string)) {
	for lib := range libraries {
		t.Run(lib, func(t *testing.T) {
			t.Parallel()
			story(t, lib)
		})
	}
}

// client is a process that holds connections made by one library.
type client struct {
	t     *testing.T
	stdin io.WriteCloser

	mu    sync.Mutex
	conns []*conn
}

// conn is one connection of a client process.
type conn struct {
	client *client
	id     int
	events chan event
}

// event is what the client process saw; see py/driver.py.
type event struct {
	Event      string            `json:"event"`
	Conn       int               `json:"conn"`
	Protocol   string            `json:"protocol"`
	Extensions string            `json:"extensions"`
	Status     int               `json:"status"`
	Headers    map[string]string `json:"headers"`
	Code       int               `json:"code"`
	Reason     string            `json:"reason"`
	Data       string            `json:"data"`
	Error      string            `json:"error"`
}

func startClient(t *testing.T, lib string) *client { return startTrusting(t, lib, "") }

// startTrusting is startClient for a process that trusts the authority whose certificate
// lies in the file.
func startTrusting(t *testing.T, lib, authority string) *client {
	t.Helper()
	l := libraries[lib]
	need(t, l.name, l.installed())
	cmd := exec.Command(l.command[0], l.command[1:]...)
	if authority != "" {
		cmd.Env = append(os.Environ(), "SSL_CERT_FILE="+authority, "NODE_EXTRA_CA_CERTS="+authority)
	}
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, stdin: stdin}
	read := make(chan struct{})
	go c.read(stdout, read)
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Process.Kill() // it may be gone already
		<-read
		_ = cmd.Wait() // killed: its exit says nothing
	})
	return c
}

// read hands each event to its connection until the process ends.
func (c *client) read(stdout io.Reader, done chan<- struct{}) {
	defer close(done)
	lines := bufio.NewScanner(stdout)
	lines.Buffer(nil, 64<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			c.t.Errorf("the client printed %q: %v", lines.Text(), err)
			return
		}
		c.mu.Lock()
		to := c.conns[e.Conn]
		c.mu.Unlock()
		to.events <- e
	}
}

// order is what the client process is told; see py/driver.py.
type order struct {
	Do          string            `json:"do"`
	Conn        int               `json:"conn"`
	URL         string            `json:"url,omitempty"`
	Protocols   []string          `json:"protocols,omitempty"`
	Headers     map[string]string `json:"headers,omitempty"`
	Compression bool              `json:"compression,omitempty"`
	Data        string            `json:"data"`
	Code        int               `json:"code,omitempty"`
	Reason      string            `json:"reason,omitempty"`
}

func (c *client) tell(o order) {
	c.t.Helper()
	line, err := json.Marshal(o)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.stdin.Write(append(line, '\n')); err != nil {
		c.t.Fatal(err)
	}
}

// dial begins a handshake; the first event says how it went.
func (c *client) dial(o order) *conn {
	c.t.Helper()
	c.mu.Lock()
	p := &conn{client: c, id: len(c.conns), events: make(chan event, 1<<16)}
	c.conns = append(c.conns, p)
	c.mu.Unlock()
	o.Do, o.Conn = "connect", p.id
	c.tell(o)
	return p
}

// connect opens a connection for a device of n with a token in the header, by
// the subprotocol edgeloop.v1.json, and returns it with the node's welcome.
func (c *client) connect(n *node, device string) (*conn, message) {
	c.t.Helper()
	return c.connectAs(n, n.token(device))
}

func (c *client) connectAs(n *node, token string) (*conn, message) {
	c.t.Helper()
	var p *conn
	var e event
	testkit.Eventually(c.t, patience, "the node to let a device in", func() bool {
		p = c.dial(order{URL: n.url(""), Protocols: []string{"edgeloop.v1.json"}, Headers: map[string]string{"Authorization": "Bearer " + token}})
		e = p.next()
		return e.Event != "refused" || e.Status != http.StatusServiceUnavailable // others keep the machine too busy
	})
	if e.Event != "open" || e.Protocol != "edgeloop.v1.json" {
		c.t.Fatalf("got %+v, want an open connection", e)
	}
	return p, p.wantMessage("welcome")
}

// next waits for whatever comes next.
func (p *conn) next() event {
	p.client.t.Helper()
	return testkit.Receive(p.client.t, patience, "the next event of the client", p.events)
}

// want waits for the next event, which must be of this kind. Pings are not
// counted: when they come is the node's affair.
func (p *conn) want(kind string) event {
	p.client.t.Helper()
	e := p.next()
	for e.Event == "pinged" && kind != "pinged" {
		e = p.next()
	}
	if e.Event != kind {
		p.client.t.Fatalf("got %+v, want %s", e, kind)
	}
	return e
}

// wantClosed waits for the end of the connection, and skips what still came before it.
func (p *conn) wantClosed(code int) event {
	p.client.t.Helper()
	for {
		if e := p.next(); e.Event == "closed" {
			if e.Code != code {
				p.client.t.Fatalf("closed with %d %q, want %d", e.Code, e.Reason, code)
			}
			return e
		}
	}
}

// message is a JSON message of the device protocol.
type message map[string]any

// num reads a number of a message; 0 when it is absent.
func (m message) num(key string) uint64 {
	f, _ := m[key].(float64)
	return uint64(f)
}

func (m message) str(key string) string {
	s, _ := m[key].(string)
	return s
}

// wantMessage waits for the next text message, which must be of this type.
func (p *conn) wantMessage(kind string) message {
	p.client.t.Helper()
	e := p.want("text")
	var m message
	if err := json.Unmarshal([]byte(e.Data), &m); err != nil {
		p.client.t.Fatalf("the node sent %q: %v", e.Data, err)
	}
	if m["type"] != kind {
		p.client.t.Fatalf("the node sent %s, want a %s", e.Data, kind)
	}
	return m
}

// wantAck waits until everything up to seq is acknowledged. Acks are
// cumulative, so any number of them may say so.
func (p *conn) wantAck(seq uint64) {
	p.client.t.Helper()
	var upto uint64
	for upto < seq {
		m := p.wantMessage("ack")
		if m.num("upto") <= upto {
			p.client.t.Fatalf("ack %v after upto %d", m, upto)
		}
		upto = m.num("upto")
	}
	if upto != seq {
		p.client.t.Fatalf("acknowledged up to %d, but only %d was sent", upto, seq)
	}
}

func (p *conn) send(m message) {
	p.client.t.Helper()
	text, err := json.Marshal(m)
	if err != nil {
		p.client.t.Fatal(err)
	}
	p.sendText(string(text))
}

func (p *conn) sendText(text string) {
	p.client.t.Helper()
	p.client.tell(order{Do: "text", Conn: p.id, Data: text})
}

func (p *conn) sendBinary(b []byte) {
	p.client.t.Helper()
	p.client.tell(order{Do: "binary", Conn: p.id, Data: base64.StdEncoding.EncodeToString(b)})
}

func (p *conn) close() {
	p.client.t.Helper()
	p.client.tell(order{Do: "close", Conn: p.id, Code: 1000})
	p.wantClosed(1000)
}
