package gateway

import (
	"fmt"
	"testing"

	"edgeloop/devicemgr"
	"edgeloop/eventloop"
	"edgeloop/internal/bytebuf"
)

// TestLink_TakesNothingMoreAfterALoss: whatever a message was lost for, no later one of
// its connection makes a record, sequenced or not, and each is counted as lost for the
// same reason.
func TestLink_TakesNothingMoreAfterALoss(t *testing.T) {
	send := func(l *link, tn *turn, seq int) int {
		before := len(tn.records)
		l.dialect.takeOnLane(l, tn, &batch{link: l}, messageOf(`{"type":"telemetry","seq":%d,"data":1}`, seq))
		l.dialect.takeOnLane(l, tn, &batch{link: l}, messageOf(`{"type":"telemetry","data":1}`))
		return len(tn.records) - before
	}
	devices, err := devicemgr.New[link](devicemgr.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for why := range numDrops {
		ways := map[string]func(*link, *turn){
			"told": func(l *link, _ *turn) { l.loseOnLane(why, 1) },
		}
		if why == DropReplaced {
			ways["of another epoch for a moment"] = func(l *link, tn *turn) {
				l.epoch++
				l.dialect.takeOnLane(l, tn, &batch{link: l}, messageOf(`{"type":"telemetry","seq":2,"data":1}`))
				l.epoch--
			}
		}
		for way, lose := range ways {
			g := &Gateway{}
			g.learnProtocols()
			g.cfg.MaxSequenceJump = 100
			l, tn := &link{voice: g.voices[protocolJSON]}, new(turn)
			l.session, l.epoch, _ = devices.Connect(devicemgr.Key{Tenant: "t", Device: fmt.Sprint(why, way)}, l)
			if send(l, tn, 1) != 2 {
				t.Fatal("a sound link makes no records")
			}
			lose(l, tn)
			if got := send(l, tn, 3); got != 0 {
				t.Errorf("%v, %s: %d records are made after the loss", why, way, got)
			}
			if got := g.drops[why].Load(); got != 3 {
				t.Errorf("%v, %s: %d are counted as lost, not 3", why, way, got)
			}
		}
	}
}

// messageOf is a message as a batch has it.
func messageOf(format string, args ...any) message {
	b := batch{bytes: &bytebuf.Buf{}}
	b.add(eventloop.Text, fmt.Appendf(nil, format, args...))
	m, _ := cutMessage(b.bytes.B)
	return m
}
