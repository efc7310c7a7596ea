package gateway_test

import (
	"fmt"
	"testing"

	"edgeloop/devicemgr"
	"edgeloop/gateway"
)

// A device has left, and its lane still takes in what it sent, while others come and
// go and the node looks whom to forget. What it sent is in the log without a hole.
func TestForget_NoHoleUnderWhatIsOnItsWay(t *testing.T) {
	const batch, total, firstSeq = 20, 8000, 100_000_001
	for range 3 {
		log := newSteppedLog()
		n := startNodeOn(t, log, gateway.Config{MaxRemembered: 1, Window: 1 << 19, WindowBytes: 1 << 30, Workers: 2, Lanes: 1})
		x, frames := n.rawDevice("x"), newBurst(batch)
		if _, err := x.Write(frames.from(1)); err != nil {
			t.Fatal(err)
		}
		n.until("the first are with the log", func() bool { taken, _, _ := log.state(); return len(taken) == batch })
		log.turn(logBlocks)
		for first := batch + 1; first <= total; first += batch {
			if _, err := x.Write(frames.from(first)); err != nil {
				t.Fatal(err)
			}
		}
		n.until("all is read", func() bool { return n.server.Stats().MessagesIn == total })
		x.Close()
		n.until("x has left", func() bool { return n.gateway.Stats().Online == 0 })
		stop, done := make(chan struct{}), make(chan struct{})
		go func() { // devices that come and go
			defer close(done)
			m := n.gateway.Devices()
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				s, epoch, _ := m.Connect(devicemgr.Key{Tenant: "default", Device: fmt.Sprint("c", i%8)}, gateway.OfNobody())
				m.Unregister(s, epoch)
			}
		}()
		log.turn(logTakes)
		n.until("the lanes are empty", func() bool { l := n.gateway.Stats().Lanes; return l.Queued == 0 && l.Active == 0 })
		close(stop)
		<-done
		taken, _, _ := log.state()
		for i, r := range taken {
			if r.seq != firstSeq+uint64(i) {
				t.Fatalf("record %d is message %d of %d: a hole", i, r.seq, total)
			}
		}
		if st := n.gateway.Stats(); len(taken) != total || st.Drops[gateway.DropReplaced] != 0 {
			t.Errorf("%d of %d records, %d dropped, of a session that was never forgotten", len(taken), total, st.Drops[gateway.DropReplaced])
		}
		log.commit(-1)
	}
}
