package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"edgeloop/backbone"
	"edgeloop/devicemgr"
	"edgeloop/envelope"
	"edgeloop/gateway"
)

var mover = devicemgr.Key{Tenant: "default", Device: "mover"}

// wantTaken waits until the log was given so many records.
func (n *node) wantTaken(log *steppedLog, want int) (all []stepped) {
	n.Helper()
	n.until(fmt.Sprintf("the log takes %d records", want), func() bool {
		all, _, _ = log.state()
		return len(all) == want
	})
	return all
}

type resetEnd struct {
	out gateway.Reset
	err error
}

func (n *node) reset() <-chan resetEnd {
	ended := make(chan resetEnd, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		out, err := n.gateway.Reset(ctx, mover)
		ended <- resetEnd{out, err}
	}()
	return ended
}

// A reset lies behind all that the device has brought, and before all that it brings
// from then on. Until it is durable the device is kept out, or it would be told the old
// sequence; then it is told 0, in an epoch above that of the reset.
func TestReset_BeginsAgain(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		log := newSteppedLog()
		n := startNodeOn(t, log, gateway.Config{SharedLog: shared})
		d := n.connect("mover")
		for seq := range uint64(3) {
			d.telemetry(seq + 1)
		}
		d.send(message{Type: "telemetry", Data: json.RawMessage(`"without"`)})
		n.wantTaken(log, 4)
		log.commit(3)
		d.wantAck(3)
		ended := n.reset()
		n.wantTaken(log, 5)
		d.wantClosed(1001)
		if _, err := n.gateway.Reset(t.Context(), mover); !errors.Is(err, gateway.ErrResetting) {
			t.Errorf("a second reset meanwhile: %v", err)
		}
		if _, status, _ := n.dialWith("device=mover", &websocket.DialOptions{Subprotocols: []string{envelope.ProtoJSON}}); status != http.StatusServiceUnavailable {
			t.Errorf("before the reset was durable the device was answered %d", status)
		}
		log.commit(-1)
		if shared { // its own word comes back to each node
			n.until("the node to speak of a connection", func() bool { return n.gateway.Stats().Online == 1 })
			n.gateway.Heard(gateway.Presence{Tenant: mover.Tenant, Device: mover.Device, Epoch: 1 << 52, Online: true}, 0)
		}
		r := <-ended
		if r.err != nil || r.out.Was != 3 {
			t.Errorf("reset: %+v", r)
		}
		if st := n.gateway.Stats(); st.Online != 0 {
			t.Errorf("after the reset %d are online", st.Online)
		}
		d = n.connect("mover")
		if d.welcome.Upto != 0 || d.welcome.Epoch <= r.out.Epoch {
			t.Errorf("welcome %+v, the reset had epoch %d", d.welcome, r.out.Epoch)
		}
		d.telemetry(1)
		all := n.wantTaken(log, 6)
		log.commit(-1)
		d.wantAck(1)
		var seqs []uint64
		for i, s := range all {
			if seqs = append(seqs, s.seq); i > 0 && s.epoch < all[i-1].epoch {
				t.Errorf("record %d has epoch %d behind %d", i, s.epoch, all[i-1].epoch)
			}
		}
		if !slices.Equal(seqs, []uint64{1, 2, 3, 0, 0, 1}) || all[4].epoch != r.out.Epoch || all[4].high != 0 {
			t.Errorf("the log has %+v", all)
		}
		if st := n.gateway.Stats(); st.Drops[gateway.DropResetting] != 1 {
			t.Errorf("%d were kept out", st.Drops[gateway.DropResetting])
		}
	}
}

// Another node has written of the device while the reset was on its way: it is done
// again behind that.
func TestReset_AnotherNodeIsQuicker(t *testing.T) {
	t.Parallel()
	log := newSteppedLog()
	log.foreign(stepped{epoch: 3, seq: 7, high: 7})
	n := startNodeOn(t, log, gateway.Config{SharedLog: true})
	ended := n.reset()
	n.wantTaken(log, 2)
	log.foreign(stepped{epoch: 4, seq: 8, high: 8})
	log.commit(-1)
	all := n.wantTaken(log, 3)
	if after := log.lastAfter(); after != 2 || all[2].seq != 0 {
		t.Errorf("the second try is %+v behind position %d", all[2], after)
	}
	log.commit(-1)
	n.until("the node to speak of a connection", func() bool { return n.gateway.Stats().Online == 1 })
	n.gateway.Heard(gateway.Presence{Tenant: mover.Tenant, Device: mover.Device, Epoch: 1 << 52, Online: true}, 0)
	if r := <-ended; r.err != nil || r.out.Was != 8 || r.out.Epoch <= 4 {
		t.Errorf("reset: %+v", r)
	}
}

// The sequence was reset at another node. What this one remembers of the device counts no
// longer.
func TestReset_AtAnotherNode(t *testing.T) {
	t.Parallel()
	log := newSteppedLog()
	n := startNodeOn(t, log, gateway.Config{SharedLog: true})
	d := n.connect("mover")
	d.telemetry(1)
	d.telemetry(2)
	n.wantTaken(log, 2)
	log.commit(-1)
	d.wantAck(2)
	epoch := uint64(1) << 52
	log.foreign(stepped{epoch: epoch})
	var again *device
	n.until("the device to be taken in again", func() (ok bool) {
		var err error
		again, err = n.dial("mover")
		return err == nil
	})
	if again.welcome.Upto != 0 || again.welcome.Epoch <= epoch {
		t.Errorf("welcome %+v", again.welcome)
	}
}

// slowLog is a log whose first answer, once asked for, comes late.
type slowLog struct {
	*steppedLog
	slow    atomic.Bool
	asked   chan struct{}
	release chan struct{}
}

// Last implements gateway.Log.
func (l *slowLog) Last(ctx context.Context, tenant, device string) (backbone.Last, error) {
	if l.slow.CompareAndSwap(true, false) {
		close(l.asked)
		<-l.release
	}
	return l.steppedLog.Last(ctx, tenant, device)
}

// A connection asks the log, and while it waits a newer one takes over and is welcomed; then the
// sequence is reset at another node. The first to hear of it is the older one, and the newer
// one's session goes with it: it has to come again, or nobody would hear it any more.
func TestReset_AtAnotherNodeWhileTwoConnect(t *testing.T) {
	t.Parallel()
	log := &slowLog{steppedLog: newSteppedLog(), asked: make(chan struct{}), release: make(chan struct{})}
	n := startNodeOn(t, log, gateway.Config{SharedLog: true})
	d := n.connect("mover")
	d.telemetry(1)
	n.wantTaken(log.steppedLog, 1)
	log.commit(-1)
	d.wantAck(1)

	log.slow.Store(true)
	older := make(chan error, 1)
	go func() {
		_, err := n.dial("mover")
		older <- err
	}()
	<-log.asked
	newer := n.connect("mover")
	log.foreign(stepped{epoch: 1 << 52})
	close(log.release)
	if err := <-older; err == nil {
		t.Error("the older connection was let in")
	}
	newer.wantClosed(websocket.StatusGoingAway)
}

func TestReset_UnknownDevice(t *testing.T) {
	t.Parallel()
	n := startNodeOn(t, newSteppedLog(), gateway.Config{})
	if r := <-n.reset(); !errors.Is(r.err, gateway.ErrUnknownDevice) {
		t.Errorf("%+v", r)
	}
	if _, status, _ := n.dialWith("device=mover", &websocket.DialOptions{Subprotocols: []string{envelope.ProtoJSON}}); status != http.StatusSwitchingProtocols {
		t.Errorf("afterwards it is answered %d", status)
	}
}
