package e2e_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// mqttClientsEnv has TestMQTTMatrix run all clients with each version by each transport.
const mqttClientsEnv = "EDGELOOP_MQTT_CLIENTS"

// A matrixCase is a library with a version of MQTT by a transport.
type matrixCase struct {
	library   string
	version   int
	transport string
	short     bool // without mqttClientsEnv too
}

func matrixCases() (all []matrixCase) {
	short := map[string]bool{
		"Paho Go 4 mqtts": true, "Paho Go 5 mqtt": true, "Paho 4 mqtt": true, "MQTT.js 5 mqtts": true, "MQTT.js in Chromium 5 ws": true,
	}
	for _, library := range []string{"Paho Go", "Paho", "MQTT.js", "MQTT.js in Chromium"} {
		for _, version := range []int{4, 5} {
			for _, transport := range []string{"mqtt", "mqtts", "ws", "wss"} {
				c := matrixCase{library, version, transport, false}
				if c.library == "MQTT.js in Chromium" && strings.HasPrefix(transport, "mqtt") {
					continue // a page has no TCP
				}
				c.short = short[c.name()]
				all = append(all, c)
			}
		}
	}
	return all
}

func (c matrixCase) name() string { return fmt.Sprint(c.library, " ", c.version, " ", c.transport) }

// matrixNode is a node with a door for each transport.
type matrixNode struct {
	*node
	ca    *testkit.Authority
	doors map[string]string // host:port by scheme
}

// maxMatrixMessage is --max-message of a matrixNode.
const maxMatrixMessage = 64 << 10

func newMatrixNode(t *testing.T) *matrixNode {
	t.Helper()
	m := &matrixNode{ca: testkit.NewAuthority(t), doors: map[string]string{"mqtt": freeAddr(t), "mqtts": freeAddr(t), "wss": freeAddr(t)}}
	cert, key := m.ca.Issue("node", nil)
	m.node = start(t, "--mqtt-listen", m.doors["mqtt"], "--mqtt-tls-listen", m.doors["mqtts"], "--tls-listen", m.doors["wss"],
		"--tls-cert", cert, "--tls-key", key, "--max-message", fmt.Sprint(maxMatrixMessage),
		"--heartbeat=5m", "--idle-timeout=10m") // see silent
	m.doors["ws"] = m.listen
	return m
}

// Clients that nobody here wrote, with each version, by each transport: what is promised of QoS
// 0, 1 and 2, Will, session, takeover, keep alive, shared subscriptions, retained messages, and of
// what is refused.
func TestMQTTMatrix(t *testing.T) {
	t.Parallel()
	n := newMatrixNode(t)
	other := n.token("somebody-else")
	reader := strings.TrimSpace(n.tool("token", "--admin", "reader", "--scope", "read"))
	n.reload("")
	for _, c := range matrixCases() {
		if !c.short && os.Getenv(mqttClientsEnv) == "" {
			continue
		}
		t.Run(c.name(), func(t *testing.T) {
			t.Parallel()
			s := &matrixStory{t: t, n: n, c: c, device: strings.ToLower(strings.NewReplacer(" ", "-", ".", "").Replace(c.name()))}
			s.drive, s.token, s.other = matrixDrivers[c.library](t, n, c), n.token(s.device), other
			s.reader = reader
			s.tell()
		})
	}
}

// matrixStory is what a client goes through, one part after the other, as one device.
type matrixStory struct {
	t      *testing.T
	n      *matrixNode
	c      matrixCase
	drive  *matrixDriver
	name   string // of the part
	tap    *tap
	device string
	token  string
	other  string   // the token of another device
	reader string   // the token of an application
	stored []string // what the log has to have: TOPIC DATA
	twice  string   // what it may have more often
}

// tell tells all parts.
func (s *matrixStory) tell() {
	for _, part := range []struct {
		name string
		tell func(s *matrixStory)
	}{
		{"qos", (*matrixStory).qos},
		{"will", (*matrixStory).will},
		{"session", (*matrixStory).session},
		{"takeover", (*matrixStory).takeover},
		{"silent", (*matrixStory).silent},
		{"oversize", (*matrixStory).oversize},
		{"refused", (*matrixStory).refused},
		{"denied", (*matrixStory).denied},
		{"share", (*matrixStory).share},
		{"retained", (*matrixStory).retained},
	} {
		s.name, s.tap = part.name, newTap(s.t, s.n.doors[s.c.transport])
		part.tell(s)
		testkit.Eventually(s.t, patience, "the client to be gone after "+s.name, func() bool { return !s.n.online(s.device) })
	}
	s.inTheLog()
}

// connect is an order to connect as a client of the driver.
func (s *matrixStory) connect(as string) matrixOrder {
	url := s.c.transport + "://" + s.tap.addr
	if strings.HasPrefix(s.c.transport, "ws") {
		url += "/mqtt"
	}
	return matrixOrder{Do: "connect", As: s.name + as, URL: url, Version: s.c.version, ID: s.device, Password: s.token, KeepAlive: 60}
}

// do gives an order to the client as, and returns what comes of it: the first of events.
func (s *matrixStory) do(o matrixOrder, events ...string) matrixEvent {
	s.t.Helper()
	s.drive.do(o)
	return s.await(o.As, events...)
}

// leave has a client go that may be gone.
func (s *matrixStory) leave(o matrixOrder) { s.drive.do(matrixOrder{Do: "disconnect", As: o.As}) }

func (s *matrixStory) await(as string, events ...string) matrixEvent {
	s.t.Helper()
	return s.drive.await(s.t, as, events...)
}

// inTheLog waits until the log has what was confirmed: each message once, and those of a topic
// in their order.
func (s *matrixStory) inTheLog() {
	s.t.Helper()
	var got []string
	testkit.Eventually(s.t, patience, "the records of "+s.device, func() bool {
		got = nil
		for _, r := range s.n.tail("--device", s.device) {
			if r.Type == "telemetry" {
				got = append(got, fmt.Sprintf("%s %.8s", r.Topic, r.Data))
			}
		}
		return containsAll(strings.Join(got, "\n"), s.stored...)
	})
	topic := func(a, b string) int { return strings.Compare(strings.Fields(a)[0], strings.Fields(b)[0]) }
	slices.SortStableFunc(got, topic)
	got = slices.CompactFunc(got, func(a, b string) bool { return a == b && b == s.twice })
	slices.SortStableFunc(s.stored, topic)
	if !slices.Equal(got, s.stored) {
		s.t.Errorf("the log has %v, want %v", got, s.stored)
	}
}

// What is published with each QoS is confirmed, and in the log in order.
func (s *matrixStory) qos() {
	o := s.connect("")
	s.do(o, "connected")
	for qos := range 3 {
		s.do(matrixOrder{Do: "publish", As: o.As, Topic: "qos", Payload: fmt.Sprint(qos), QoS: qos}, "published")
		s.stored = append(s.stored, fmt.Sprint("qos ", qos))
	}
	s.leave(o)
}

// The Will of a client that is cut off is a record.
func (s *matrixStory) will() {
	o := s.connect("")
	o.Topic, o.Payload = "gone", `"will"`
	s.do(o, "connected")
	s.tap.cut()
	s.await(o.As, "closed")
	s.stored = append(s.stored, `gone "will"`)
}

// A session that is kept knows that commands are wanted, and has those that were left.
func (s *matrixStory) session() {
	o := s.connect("")
	o.Kept = true
	if e := s.do(o, "connected"); e.Present {
		s.t.Errorf("session: a new one is present")
	}
	if e := s.do(matrixOrder{Do: "subscribe", As: o.As, Topic: "$edgeloop/command/#", QoS: 1}, "subscribed"); e.Code != 1 {
		s.t.Errorf("session: SUBACK %d, want 1", e.Code)
	}
	s.tap.cut()
	s.await(o.As, "closed")
	testkit.Eventually(s.t, patience, "the device to be offline", func() bool { return !s.n.online(s.device) })
	s.n.left(s.device, "open")
	again := s.connect("-again")
	again.Kept = true
	if e := s.do(again, "connected"); !e.Present {
		s.t.Errorf("session: it is not present")
	}
	if e := s.await(again.As, "message"); !strings.HasSuffix(e.Topic, "/open") || e.QoS != 1 {
		s.t.Errorf("session: a command as %+v", e)
	}
	testkit.Eventually(s.t, patience, "what is confirmed not to wait", func() bool { return s.n.waiting(s.device) == 0 })
	s.leave(again)
}

// The newer of two clients of one name stays, and the older hears why it goes.
func (s *matrixStory) takeover() {
	older, newer := s.connect("-older"), s.connect("-newer")
	s.do(older, "connected")
	s.do(newer, "connected")
	s.closedFor(s.await(older.As, "closed"), 0x8e)
	s.do(matrixOrder{Do: "publish", As: newer.As, Topic: "taken", Payload: "1", QoS: 1}, "published")
	s.stored = append(s.stored, "taken 1")
	s.leave(newer)
}

// closedFor checks the reason, which only 5.0 has. A library says 0 where it noticed the end of the
// socket first.
func (s *matrixStory) closedFor(e matrixEvent, reason int) {
	s.t.Helper()
	if s.c.version == 5 && e.Code != 0 && e.Code != reason {
		s.t.Errorf("%s: closed with %#x, want %#x", s.name, e.Code, reason)
	}
}

// A client of which nothing comes is ended after its keep alive: neither a ping nor its end gets
// through, and the node's own --idle-timeout is longer than this waits.
func (s *matrixStory) silent() {
	o := s.connect("")
	o.KeepAlive = 1
	s.do(o, "connected")
	s.tap.freeze(true)
	testkit.Eventually(s.t, patience, "the silent client to be ended", func() bool { return !s.n.online(s.device) })
	s.tap.freeze(false)
	s.await(o.As, "closed")
}

// A message above --max-message is not taken, by the client itself or by the node, and one below
// it is.
func (s *matrixStory) oversize() {
	o := s.connect("")
	s.do(o, "connected")
	s.do(matrixOrder{Do: "publish", As: o.As, Topic: "large", Size: maxMatrixMessage / 2, QoS: 1}, "published")
	if e := s.do(matrixOrder{Do: "publish", As: o.As, Topic: "larger", Size: maxMatrixMessage + 1, QoS: 1}, "failed", "closed"); e.Event == "closed" {
		s.closedFor(e, 0x95)
	}
	s.stored = append(s.stored, `large "MDAwMDA`) // which is base64: zeros are no JSON
	s.leave(o)
}

// Who has another's token, or none that is one, hears that it is not let in.
func (s *matrixStory) refused() {
	codes := map[int][]int{4: {2, 4, 5}, 5: {0x85, 0x86}}[s.c.version]
	for as, password := range map[string]string{"-none": "none", "-other": s.other} {
		o := s.connect(as)
		o.Password = password
		if e := s.do(o, "refused", "connected"); e.Event != "refused" || !slices.Contains(codes, e.Code) {
			s.t.Errorf("refused: %+v, want one of the codes %v", e, codes)
		}
	}
}

// A device may subscribe to nobody's records, and publish to no topic but those of its token.
func (s *matrixStory) denied() {
	o := s.connect("")
	o.Password = s.n.token(s.device, "--topic", "allowed/#")
	s.do(o, "connected")
	if e := s.do(matrixOrder{Do: "subscribe", As: o.As, Topic: "#"}, "subscribed"); e.Code < 0x80 {
		s.t.Errorf("denied: SUBACK %#x", e.Code)
	}
	s.do(matrixOrder{Do: "publish", As: o.As, Topic: "allowed/x", Payload: "1", QoS: 1}, "published")
	s.stored = append(s.stored, "allowed/x 1")
	e := s.do(matrixOrder{Do: "publish", As: o.As, Topic: "denied", Payload: "1", QoS: 1}, "published", "failed", "closed")
	switch python := s.c.library == "Paho"; { // which does not say that a PUBACK refuses
	case s.c.version == 4 && e.Event == "published", s.c.version == 5 && !python && (e.Event != "failed" || e.Code != 0x87):
		s.t.Errorf("denied: %+v", e)
	}
	s.leave(o)
}
