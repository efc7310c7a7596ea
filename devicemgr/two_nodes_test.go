package devicemgr_test

import (
	"cmp"
	"testing"
	"time"

	"pgregory.net/rapid"

	"edgeloop/devicemgr"
)

// word is what the stream of presence has of a node.
type word struct {
	node int
	devicemgr.Presence
}

// twoNodes are two tables that hear of each other through a stream that keeps the
// order in which words arrive, and of which each has read a part. The clock of one
// may be ahead.
type twoNodes struct {
	tables [2]*devicemgr.Manager[link]
	clocks [2]time.Time
	unsent [2][]devicemgr.Presence
	read   [2]int
	conns  [2]struct {
		s      *devicemgr.Session[link]
		epoch  uint64
		lifted bool
	}
	sent   []word // published once already: may arrive again, late
	stream []word
}

var roamer = devicemgr.Key{Tenant: "t", Device: "roamer"}

func newTwoNodes(t *rapid.T) *twoNodes {
	n := &twoNodes{}
	for i := range n.tables {
		n.clocks[i] = time.UnixMicro(int64(100 + rapid.IntRange(0, 30).Draw(t, "clock")))
		var err error
		n.tables[i], err = devicemgr.New[link](devicemgr.Config{
			Lifted: true, Now: func() time.Time { return n.clocks[i] },
			OnPresence: func(p devicemgr.Presence) {
				if p.Cause != devicemgr.CauseElsewhere { // of it the other node speaks
					n.unsent[i] = append(n.unsent[i], p)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func drawNode(t *rapid.T) int { return rapid.IntRange(0, 1).Draw(t, "node") }

// connect is a new connection at a node; lift is when it has asked what is kept.
func (n *twoNodes) connect(t *rapid.T) {
	i := drawNode(t)
	n.clocks[i] = n.clocks[i].Add(time.Microsecond)
	c := &n.conns[i]
	c.s, c.epoch, _ = n.tables[i].Connect(roamer, &link{})
	c.lifted = false
	if rapid.Bool().Draw(t, "lifted at once") {
		n.lift(i)
	}
}

func (n *twoNodes) lift(i int) {
	above := uint64(0)
	if len(n.stream) > 0 {
		above = n.stream[len(n.stream)-1].Epoch
	}
	if c := &n.conns[i]; c.s != nil && !c.lifted {
		c.epoch, _ = n.tables[i].Lift(c.s, c.epoch, above)
		c.lifted = true
	}
}

func (n *twoNodes) liftOne(t *rapid.T) { n.lift(drawNode(t)) }

func (n *twoNodes) end(t *rapid.T) {
	i := drawNode(t)
	if c := &n.conns[i]; c.s != nil {
		n.tables[i].Unregister(c.s, c.epoch)
		c.s = nil
	}
}

// publish lets the first word of a node arrive, and hear lets a node read one on.
func (n *twoNodes) publish(i int) bool {
	if len(n.unsent[i]) == 0 {
		return false
	}
	w := word{i, n.unsent[i][0]}
	n.unsent[i] = n.unsent[i][1:]
	n.sent, n.stream = append(n.sent, w), append(n.stream, w)
	return true
}

func (n *twoNodes) hear(i int) bool {
	if n.read[i] == len(n.stream) {
		return false
	}
	w := n.stream[n.read[i]]
	n.read[i]++
	n.tables[i].Heard(w.Presence, cmp.Compare(w.node, i))
	return true
}

func (n *twoNodes) publishOne(t *rapid.T) { n.publish(drawNode(t)) }
func (n *twoNodes) hearOne(t *rapid.T)    { n.hear(drawNode(t)) }

// late lets a word arrive that was sent on a connection which was lost meanwhile.
func (n *twoNodes) late(t *rapid.T) {
	if len(n.sent) == 0 {
		t.Skip("nothing was sent")
	}
	n.stream = append(n.stream, rapid.SampledFrom(n.sent).Draw(t, "word"))
}

// Whatever two nodes have said of a device, in whatever order it arrived: when no
// more happens they fall silent, at most one of them has the device, and what is kept
// is true.
func TestHeard_TwoNodesAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := newTwoNodes(t)
		t.Repeat(map[string]func(*rapid.T){
			"connect": n.connect, "lift": n.liftOne, "end": n.end, "publish": n.publishOne, "hear": n.hearOne, "late": n.late,
		})
		n.lift(0)
		n.lift(1)
		for steps := 0; ; steps++ {
			busy := false
			for i := range n.tables {
				busy = n.publish(i) || busy
				busy = n.hear(i) || busy
			}
			if !busy {
				break
			}
			if steps > 10_000 {
				t.Fatalf("they do not fall silent: %+v", n.stream[len(n.stream)-4:])
			}
		}
		kept := word{node: -1}
		if len(n.stream) > 0 {
			kept = n.stream[len(n.stream)-1]
		}
		here, online := -1, 0
		for i, m := range n.tables {
			if s := m.Lookup(roamer); s != nil && s.Online() {
				here, online = i, online+1
			}
		}
		switch {
		case online > 1:
			t.Fatalf("both have it; the stream: %+v", n.stream)
		case online == 1 && (!kept.Online || kept.node != here):
			t.Fatalf("node %d has it, kept is %+v; the stream: %+v", here, kept, n.stream)
		case online == 0 && kept.Online:
			t.Fatalf("no node has it, kept is %+v; the stream: %+v", kept, n.stream)
		}
	})
}

// The other node has an old connection of the device, and its clock is ahead. What it
// says before the new one is lifted above that does not end the new one.
func TestHeard_ClockAhead(t *testing.T) {
	var told []devicemgr.Presence
	m := table(t, devicemgr.Config{Lifted: true, OnPresence: func(p devicemgr.Presence) { told = append(told, p) }})
	l := &link{}
	s, epoch, _ := m.Connect(roamer, l)
	ahead := devicemgr.Presence{Key: roamer, Epoch: epoch + 100, Online: true}
	if m.Heard(ahead, 1) != nil || len(told) != 0 {
		t.Fatalf("before it was lifted: closed, or told %+v", told)
	}
	lifted, ok := m.Lift(s, epoch, ahead.Epoch)
	if !ok || len(told) != 1 || told[0].Epoch != lifted || lifted <= ahead.Epoch {
		t.Fatalf("lifted to %d, %v; told %+v", lifted, ok, told)
	}
	if m.Heard(ahead, 1) != nil || len(told) != 2 || !told[1].Online {
		t.Errorf("the old word again: closed, or told %+v", told)
	}
	late := devicemgr.Presence{Key: roamer, Epoch: epoch} // sent before the connection to the stream was lost
	if m.Heard(late, 0) != nil || len(told) != 3 || !told[2].Online || told[2].Epoch != lifted {
		t.Errorf("a late word of this node: closed, or told %+v", told)
	}
	if m.Heard(told[2], 0) != nil || len(told) != 3 {
		t.Errorf("its own last word: closed, or told %+v", told)
	}
	if got := m.Heard(devicemgr.Presence{Key: roamer, Epoch: lifted, Online: true}, 1); got != l {
		t.Errorf("of one epoch the node with the larger name has it: %v", got)
	}
}
