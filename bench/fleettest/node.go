package fleettest

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"

	"github.com/gobwas/ws"
)

// Node speaks just enough of edgeloop.v1.json: welcome, cumulative acks,
// commands. The zero value keeps its word.
type Node struct {
	// AckTwice repeats every ack; AckBeyond acknowledges one message too many;
	// NeverAck acknowledges nothing; AckEvery acknowledges each n-th message.
	AckTwice, AckBeyond, NeverAck bool
	AckEvery                      uint64
	// CutAfter ends the connection after so many messages, once.
	CutAfter int
	// Forget makes the welcome of a reconnect name so many fewer as durable.
	Forget uint64
	// Greeting are frames sent after each welcome.
	Greeting []string

	mu      sync.Mutex
	durable map[string]uint64
	cut     map[string]bool
	replies []string
	waiting map[string]chan struct{}
	peers   []*Peer
	gaps    int
}

// online are the devices connected now, in the order in which they came.
func (n *Node) online() []*Peer {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.peers)
}

func (n *Node) leave(p *Peer) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.peers = slices.DeleteFunc(n.peers, func(one *Peer) bool { return one == p })
}

// expect returns a channel that is closed by the first reply with this id.
func (n *Node) expect(id string) <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.waiting == nil {
		n.waiting = make(map[string]chan struct{})
	}
	n.waiting[id] = make(chan struct{})
	return n.waiting[id]
}

// Replies are the ids that devices answered.
func (n *Node) Replies() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.replies...)
}

// Gaps counts sequence numbers that did not follow their predecessor.
func (n *Node) Gaps() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.gaps
}

func (n *Node) begin(p *Peer) uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.durable == nil {
		n.durable, n.cut = make(map[string]uint64), make(map[string]bool)
	}
	n.peers = append(n.peers, p)
	at := n.durable[p.Request]
	if n.cut[p.Request] {
		at -= min(at, n.Forget)
	}
	return at
}

// Handle is the connection handler for Serve.
func (n *Node) Handle(p *Peer) {
	durable := n.begin(p)
	defer n.leave(p)
	_ = p.Send(ws.OpText, fmt.Appendf(nil, `{"type":"welcome","epoch":1,"upto":%d,"heartbeat_s":30,"window":64}`, durable))
	for _, g := range n.Greeting {
		_ = p.Send(ws.OpText, []byte(g))
	}
	for count := 1; ; count++ {
		_, b, err := p.Next()
		if err != nil {
			return
		}
		var m struct {
			Type, ID string
			Seq      uint64
		}
		if json.Unmarshal(b, &m) != nil || !n.take(p, m.Type, m.ID, m.Seq, &durable) {
			continue
		}
		if n.cutNow(p, count) {
			return
		}
		n.ack(p, durable)
	}
}

func (n *Node) take(p *Peer, typ, id string, seq uint64, durable *uint64) (sequenced bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch typ {
	case "reply":
		n.replies = append(n.replies, id)
		if w := n.waiting[id]; w != nil {
			close(w)
			delete(n.waiting, id)
		}
	case "telemetry":
		if seq != *durable+1 {
			n.gaps++
		}
		*durable = seq
		n.durable[p.Request] = seq
		return true
	}
	return false
}

func (n *Node) cutNow(p *Peer, count int) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.CutAfter == 0 || count < n.CutAfter || n.cut[p.Request] {
		return false
	}
	n.cut[p.Request] = true
	return true
}

func (n *Node) ack(p *Peer, durable uint64) {
	if n.NeverAck || n.AckEvery > 1 && durable%n.AckEvery != 0 {
		return
	}
	if n.AckBeyond {
		durable += maxWindow
	}
	b := fmt.Appendf(nil, `{"type":"ack","upto":%d}`, durable)
	_ = p.Send(ws.OpText, b)
	if n.AckTwice {
		_ = p.Send(ws.OpText, b)
	}
}

// maxWindow is past anything a device can have in flight.
const maxWindow = 1 << 20
