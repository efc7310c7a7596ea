package gateway_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/gateway"
	"edgeloop/overload"
)

// lead has the node measure as bad as the state takes, or as well, until it is in it.
func lead(t *testing.T, l *overload.Ladder, s overload.State) {
	t.Helper()
	measured := map[overload.State]float64{overload.Busy: 0.8, overload.Strained: 0.9, overload.Overloaded: 1}[s]
	now := time.Now()
	for range 100 {
		now = now.Add(overload.Every)
		if _, after := l.Look(now, overload.Measurement{overload.Memory: measured}); after.State == s {
			return
		}
	}
	t.Fatalf("the ladder does not come to %s", s)
}

// From rung to rung: who is not known is refused before who is known, and who is connected
// is served in every state: it may send, is acknowledged, and may come again in its own
// place. When it is over all are let in.
func TestOverload_WhoIsLetIn(t *testing.T) {
	var ladder overload.Ladder
	n := startNode(t, &memLog{}, gateway.Config{Overload: &ladder})
	n.connect("here")
	n.connect("known").ws.CloseNow()
	n.until("the known one to have left", func() bool { return n.gateway.Stats().Online == 1 })
	seq, refused := uint64(0), uint64(0)
	for _, step := range []struct {
		state           overload.State
		stranger, known bool
	}{
		{overload.Busy, true, true}, {overload.Strained, false, true}, {overload.Overloaded, false, false}, {overload.Well, true, true},
	} {
		lead(t, &ladder, step.state)
		here := n.connect("here") // takes over
		seq++
		here.telemetry(seq)
		here.wantAck(seq)
		for name, may := range map[string]bool{"stranger-" + step.state.String(): step.stranger, "known": step.known} {
			d, status, err := n.dialWith("device="+name, nil)
			if may != (err == nil) || (!may && status != 503) {
				t.Fatalf("%s: %s is answered %d (%v), may it come: %t", step.state, name, status, err, may)
			}
			if !may {
				refused++
				continue
			}
			d.ws.CloseNow()
			n.until(name+" to have left", func() bool { return n.gateway.Stats().Online == 1 })
		}
	}
	n.until("those refused to be counted", func() bool {
		st := n.gateway.Stats()
		return st.Drops[gateway.DropOverloaded] == refused && st.Online == 1
	})
	if got := ladder.Stats().Refused; got[overload.Stranger]+got[overload.Newcomer] != refused || got[overload.Newcomer] != 1 {
		t.Errorf("the ladder counted %v", got)
	}
}

// Events of devices make no records in a node that is strained; what devices send does.
func TestOverload_Events(t *testing.T) {
	var ladder overload.Ladder
	log := newEventLog()
	n := startNodeOn(t, log, gateway.Config{Events: allEvents, Overload: &ladder})
	here := n.connect("here")
	lead(t, &ladder, overload.Strained)
	n.gateway.Banned(devicemgr.Key{Tenant: "default", Device: "here"}, time.Time{}, "for a test")
	here.telemetry(1)
	here.wantAck(1)
	if _, kinds := log.of("here"); len(kinds) != 2 || kinds[0] != "connected" || kinds[1] != "telemetry" {
		t.Errorf("the log has %v", kinds)
	}
	if st := n.gateway.Stats(); st.EventDrops[gateway.EventOverloaded] != 1 {
		t.Errorf("dropped %v", st.EventDrops)
	}
}

// awayLog is a log that may not answer.
type awayLog struct {
	*memLog
	away  atomic.Bool
	asked atomic.Int32
}

func (l *awayLog) Last(ctx context.Context, tenant, device string) (backbone.Last, error) {
	l.asked.Add(1)
	if l.away.Load() {
		return backbone.Last{}, errors.New("no answer")
	}
	return l.memLog.Last(ctx, tenant, device)
}

// While the log does not answer, devices that it has to be asked about are refused without
// asking it, but for one now and then; those that are remembered come in. When it
// answers again, all do.
func TestOverload_LogAway(t *testing.T) {
	log := &awayLog{memLog: &memLog{}}
	n := startNodeOn(t, log, gateway.Config{})
	n.connect("known").ws.CloseNow()
	n.until("the known one to have left", func() bool { return n.gateway.Stats().Online == 0 })
	log.away.Store(true)
	before := log.asked.Load()
	for range 20 {
		if _, status, err := n.dialWith("device=other", nil); err == nil || status != 503 {
			t.Fatalf("answered %d (%v)", status, err)
		}
	}
	if n := log.asked.Load() - before; n < 3 || n >= 20 {
		t.Errorf("the log was asked %d times", n)
	}
	n.until("all to be counted", func() bool { return n.gateway.Stats().Drops[gateway.DropLogAway] == 20 })
	n.connect("known")
	log.away.Store(false)
	n.until("the log to be asked again", func() bool {
		d, _, err := n.dialWith("device=other", nil)
		if err == nil {
			d.ws.CloseNow()
		}
		return err == nil
	})
}

// So are clients of MQTT whose device is remembered, and what is kept of their session is not.
func TestOverload_LogAwayMQTT(t *testing.T) {
	log := &awayLog{memLog: &memLog{}}
	n := startNodeOn(t, log, gateway.Config{})
	n.connect("d").ws.CloseNow()
	n.until("the device to have left", func() bool { return n.gateway.Stats().Online == 0 })
	log.away.Store(true)
	before := log.asked.Load()
	come := func() byte {
		c := n.mqtt(true)
		c.send(c.keptConnect("d", false))
		ack := c.read()
		_ = c.conn.Close()
		return ack[3]
	}
	for range 20 {
		if code := come(); code != 0x89 {
			t.Fatalf("CONNECT is answered %#x", code)
		}
	}
	if n := log.asked.Load() - before; n < 3 || n >= 20 {
		t.Errorf("the log was asked %d times", n)
	}
	n.until("all to be counted", func() bool { return n.gateway.Stats().Drops[gateway.DropLogAway] == 20 })
	log.away.Store(false)
	n.until("the log to be asked again", func() bool { return come() == 0 })
}
