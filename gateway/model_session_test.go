package gateway_test

import (
	"encoding/json"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"pgregory.net/rapid"

	"edgeloop/gateway"
)

// sessionModel says what becomes of each message of one device, one after another
// and without any of the node's means: no lanes, no windows in bytes, no locks.
type sessionModel struct {
	n      *node
	log    *steppedLog
	device string

	mode     appendMode
	window   int
	accepted uint64    // what the session took in
	before   uint64    // accepted, before the records of the call that is held up
	taken    []stepped // what the log took, first what is durable
	durable  int       // how many of these
	ahead    bool      // another node was ahead of the others
	held     []stepped // of the call that is held up
	now      *peer     // the connection, nil while there is none
	peers    []*peer   // all there were
	messages int       // sent so far, the data of the next
	epoch    uint64    // the last that was heard of
}

// peer is one connection as the model sees it, and what its device heard.
type peer struct {
	*device

	inFlight int    // records that are not durable yet
	unread   []sent // messages that wait for the window, or behind the held call
	ended    chan struct{}
	acked    atomic.Uint64
	acks     atomic.Int64 // how many there were
	beats    atomic.Int64
	closed   atomic.Int64 // the close code
	fault    atomic.Pointer[string]
}

type sent struct {
	seq  uint64
	data string
}

// listen collects what the device hears until the connection ends.
func (p *peer) listen() {
	defer close(p.ended)
	for {
		m, err := p.read()
		if err != nil {
			p.closed.Store(int64(websocket.CloseStatus(err)))
			return
		}
		switch old := p.acked.Load(); {
		case m.Type == "heartbeat":
			p.beats.Add(1)
		case m.Type != "ack" || m.Upto < old:
			p.fault.CompareAndSwap(nil, new(fmt.Sprintf("after ack %d came %+v", old, m)))
		default:
			p.acked.Store(m.Upto)
			p.acks.Add(1)
		}
	}
}

// durableSeq is the highest sequence that is durable.
func (m *sessionModel) durableSeq() uint64 {
	if m.durable == 0 {
		return 0
	}
	return m.taken[m.durable-1].high
}

// await polls until what was predicted has come.
func (m *sessionModel) await(t *rapid.T, what string, ok func() bool) {
	deadline := time.Now().Add(patience)
	for tick := time.NewTicker(100 * time.Microsecond); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			taken, durable, held := m.log.state()
			t.Fatalf("waited too long: %s; the log has %d of %+v and holds up %d", what, durable, taken, held)
		}
	}
}

// connect, or take over from the connection that is there.
func (m *sessionModel) connect(t *rapid.T) {
	d, err := m.n.dial(m.device)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{device: d, ended: make(chan struct{})}
	m.peers = append(m.peers, p)
	go p.listen()
	p.acked.Store(d.welcome.Upto)
	if d.welcome.Type != "welcome" || d.welcome.Upto != m.durableSeq() || d.welcome.Epoch <= m.epoch || d.welcome.Window != m.window {
		t.Fatalf("welcome is %+v, want upto %d, window %d and an epoch above %d", d.welcome, m.durableSeq(), m.window, m.epoch)
	}
	m.epoch = d.welcome.Epoch
	if old := m.now; old != nil {
		m.wantEnd(t, old, 4409)
	}
	m.now = p // what the old one had not handed on is given up: the device sends it again
}

// wantEnd waits for a connection to end.
func (m *sessionModel) wantEnd(t *rapid.T, p *peer, code int64) {
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Fatalf("the connection goes on, want it closed with %d", code)
	}
	if got := p.closed.Load(); got != code {
		t.Fatalf("closed with %d, want %d", got, code)
	}
}

// leave cuts the connection. What the node has read or not read of it then is
// left to chance, so nothing may be on its way; and while reading is paused the
// node does not see the end.
func (m *sessionModel) leave(t *rapid.T) {
	if m.now == nil || len(m.now.unread) > 0 || m.now.inFlight > m.window {
		t.Skip("no connection, or messages on their way")
	}
	m.now.ws.CloseNow()
	<-m.now.ended
	m.now = nil
	m.await(t, "the device to be gone", func() bool { return m.n.gateway.Stats().Online == 0 })
}

// send one to some messages: the next, ones again, ones after a gap, ones without
// a sequence; more than the window, too.
func (m *sessionModel) send(t *rapid.T) {
	p := m.now
	if p == nil {
		t.Skip("no connection")
	}
	many := rapid.IntRange(1, 6).Draw(t, "messages")
	if m.mode == logBlocks && m.held == nil {
		many = 1 // which ones share the call that is held up would be left to chance
		if p.inFlight > m.window {
			t.Skip("nothing is read")
		}
	}
	acks, top := p.acks.Load(), m.accepted
	for range many {
		seq := max(0, int64(top)+rapid.SampledFrom([]int64{1, 1, 1, 1, 0, -1, -3, 2, 4, -1 << 60}).Draw(t, "step")) //nolint:gosec // small
		if seq == 0 && (m.held != nil || p.inFlight+len(p.unread) > m.window) {
			// What has no sequence nobody sends again, so it is written even when its
			// connection was replaced; how much of it was read by then is chance.
			seq = int64(top) + 1 //nolint:gosec // small
		}
		m.messages++
		s := sent{uint64(seq), strconv.Itoa(m.messages)} //nolint:gosec // not negative
		if err := p.trySend(message{Type: "telemetry", Seq: s.seq, Data: json.RawMessage(s.data)}); err != nil {
			if m.mode == logRefuses {
				break // it was closed for the first of them
			}
			t.Fatal(err)
		}
		p.unread = append(p.unread, s)
		top = max(top, s.seq)
	}
	m.run(t, acks)
}

// run lets the model take in what the node can take in now, and waits for the
// node to be there. acks is how many the device had heard before.
func (m *sessionModel) run(t *rapid.T, acks int64) {
	p := m.now
	again := false
	for p != nil && m.held == nil && len(p.unread) > 0 && p.inFlight <= m.window {
		s := p.unread[0]
		p.unread = p.unread[1:]
		if s.seq != 0 && s.seq <= m.accepted {
			again = true
			continue
		}
		m.before = m.accepted
		m.accepted = max(m.accepted, s.seq)
		r := stepped{epoch: p.welcome.Epoch, seq: s.seq, high: m.accepted, data: s.data}
		p.inFlight++
		switch m.mode {
		case logTakes:
			m.taken = append(m.taken, r)
		case logBlocks:
			m.held = append(m.held, r)
		case logRefuses:
			m.refused(t)
			return
		}
	}
	m.settle(t)
	if again {
		m.await(t, "what is durable to be said again", func() bool { return p.acks.Load() > acks })
	}
}

// acks is how many the device has heard.
func (m *sessionModel) acks() int64 {
	if m.now == nil {
		return 0
	}
	return m.now.acks.Load()
}

// refused is what becomes of a message that the log does not take, and of its
// connection.
func (m *sessionModel) refused(t *rapid.T) {
	m.accepted = m.before
	if m.now != nil {
		m.wantEnd(t, m.now, 1011)
		m.now = nil
		m.await(t, "the device to be gone", func() bool { return m.n.gateway.Stats().Online == 0 })
	}
}

// settle waits until the node has taken in what the model has.
func (m *sessionModel) settle(t *rapid.T) {
	m.await(t, fmt.Sprintf("%d records in the log and %d held up", len(m.taken), len(m.held)), func() bool {
		taken, _, held := m.log.state()
		return len(taken) >= len(m.taken) && held == len(m.held)
	})
	p := m.now
	if p == nil || m.held != nil || p.inFlight > m.window {
		return // nothing is read from it; there is no saying when
	}
	beats := p.beats.Load()
	if err := p.trySend(message{Type: "heartbeat"}); err != nil {
		t.Fatal(err)
	}
	// The loop answers it, behind all that was sent before, which then lies in the lanes.
	m.await(t, "an echo behind all that was sent", func() bool { return p.beats.Load() > beats })
	m.await(t, "the lanes to be empty", func() bool {
		l := m.n.gateway.Stats().Lanes
		return l.Queued == 0 && l.Active == 0
	})
}

// commit makes some of what the log took durable.
func (m *sessionModel) commit(t *rapid.T) {
	if m.durable == len(m.taken) {
		t.Skip("nothing is pending")
	}
	if m.mode == logBlocks && m.held == nil && m.now != nil && len(m.now.unread) > 0 {
		t.Skip("which ones would share the call that is held up is left to chance")
	}
	if m.ahead && m.held != nil {
		t.Skip("it would be for the real log to drop the records of the call that is held up")
	}
	m.makeDurable(t, rapid.IntRange(1, len(m.taken)-m.durable).Draw(t, "records"))
}

func (m *sessionModel) makeDurable(t *rapid.T, n int) {
	if m.ahead {
		m.overtaken(t)
		return
	}
	for _, r := range m.taken[m.durable : m.durable+n] {
		for _, p := range m.peers {
			if p.welcome.Epoch == r.epoch {
				p.inFlight--
			}
		}
	}
	m.durable += n
	acks := m.acks()
	m.log.commit(n)
	m.run(t, acks)
}

// turn opens or closes the gate of the log. A call that is held up is let in or
// refused.
func (m *sessionModel) turn(t *rapid.T) {
	m.turnTo(t, rapid.SampledFrom([]appendMode{logTakes, logRefuses, logBlocks}).Draw(t, "mode"))
}

func (m *sessionModel) turnTo(t *rapid.T, mode appendMode) {
	if mode == logBlocks && m.now != nil && len(m.now.unread) > 0 {
		t.Skip("as in commit")
	}
	m.mode = mode
	acks := m.acks()
	m.log.turn(mode)
	held := m.held
	if mode == logBlocks || held == nil {
		return
	}
	m.held = nil
	if mode == logTakes {
		m.taken = append(m.taken, held...)
	} else {
		m.accepted = m.before
		if m.now != nil && m.now.welcome.Epoch == held[0].epoch {
			m.refused(t)
		}
	}
	m.run(t, acks)
}

// widen changes the window of the running node.
func (m *sessionModel) widen(t *rapid.T) {
	if m.now != nil {
		t.Skip("a connection was told the old one")
	}
	m.window = rapid.IntRange(1, 5).Draw(t, "window")
	if err := m.n.gateway.SetLimits(gateway.Limits{Window: m.window}); err != nil {
		t.Fatal(err)
	}
}

// check compares the log record by record, and what the device was told.
func (m *sessionModel) check(t *rapid.T) {
	taken, durable, _ := m.log.state()
	if len(taken) != len(m.taken) || durable != m.durable {
		t.Fatalf("the log has %d of %+v, want %d of %+v", durable, taken, m.durable, m.taken)
	}
	for i, r := range taken {
		if r.done = nil; r != m.taken[i] {
			t.Fatalf("record %d is %+v, want %+v", i, r, m.taken[i])
		}
	}
	for _, p := range m.peers {
		if fault := p.fault.Load(); fault != nil {
			t.Fatal(*fault)
		}
		if got := p.acked.Load(); got > m.durableSeq() {
			t.Fatalf("acknowledged up to %d, durable is %d", got, m.durableSeq())
		}
	}
	if p := m.now; p != nil {
		m.await(t, fmt.Sprintf("an ack of %d", m.durableSeq()), func() bool { return p.acked.Load() == m.durableSeq() })
	}
}

// finish lets everything through, and resumes once more.
func (m *sessionModel) finish(t *rapid.T) {
	m.turnTo(t, logTakes)
	for m.durable < len(m.taken) {
		m.makeDurable(t, len(m.taken)-m.durable)
	}
	m.check(t)
	m.connect(t)
	m.check(t)
}

// end takes the model's connections away, also after a failure.
func (m *sessionModel) end() {
	m.log.turn(logTakes)
	m.log.commit(-1) // or nothing is read, and the end not seen
	for _, p := range m.peers {
		p.ws.CloseNow()
		<-p.ended
	}
}

// TestSession_Model: one device sends the next message, old ones again, after
// gaps and without sequence, within its window and beyond, over connections that
// it cuts or takes over, to a log that takes, refuses and holds up, here and at
// another node. What is in the log, what is acknowledged and what each welcome
// says is what a model of a page says.
func TestSession_Model(t *testing.T) {
	log := newSteppedLog()
	n := startNodeOn(t, log, gateway.Config{Workers: 1, Lanes: 1, SharedLog: true})
	devices := 0
	rapid.Check(t, func(t *rapid.T) {
		devices++
		m := &sessionModel{n: n, log: log, device: fmt.Sprintf("dev-%d", devices)}
		m.await(t, "the device before to be gone", func() bool {
			log.commit(-1) // what was held up may have come since; while reading is paused no end is seen
			return n.gateway.Stats().Online == 0
		})
		log.clear()
		defer m.end()
		m.widen(t)
		t.Repeat(map[string]func(*rapid.T){
			"connect": m.connect, "leave": m.leave, "send": m.send, "send more": m.send, "commit": m.commit,
			"turn": m.turn, "widen": m.widen, "roam": m.roam, "": m.check,
		})
		m.finish(t)
	})
}
