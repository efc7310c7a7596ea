package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"edgeloop/envelope"
	"edgeloop/eventloop"
	"edgeloop/gateway"
)

// startFull is a node with room for that many devices.
func startFull(t *testing.T, most int) *node {
	t.Helper()
	n := &node{T: t, store: &memStore{}}
	var err error
	n.gateway, err = gateway.New(gateway.Config{Log: &memLog{}, Store: n.store, FreeTakeovers: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	n.server, err = eventloop.New(eventloop.Config{
		Listeners: []eventloop.Listener{{Address: "127.0.0.1:0"}}, Loops: 1, Tick: 20 * time.Millisecond, MaxConnections: most, RefuseReserve: 64,
		CloseTimeout: time.Minute, Protocols: envelope.Protocols(), Memory: n.gateway.Memory(),
	}, n.gateway)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- n.server.Run() }()
	<-n.server.Booted()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := errors.Join(n.server.Stop(ctx), <-ended, n.gateway.Close(ctx)); err != nil {
			t.Error(err)
		}
	})
	return n
}

// On a full node a device comes back while its old socket is still open, over and
// over; another device does not get in, and does as soon as one has left. The old
// sockets, whose closes nobody answers for a minute, keep no seat.
func TestAdmission_FullNode(t *testing.T) {
	n := startFull(t, 2)
	n.connect("b")
	a := n.connect("a")
	for range 5 {
		a = n.connect("a")
	}
	if _, status, _ := n.dialWith("device=c", nil); status != 503 {
		t.Errorf("status %d for a new device on a full node, want 503", status)
	}
	n.until("two to be online, five takeovers and a refusal to be counted", func() bool {
		st := n.gateway.Stats()
		return st.Online == 2 && st.Takeovers == 5 && st.Drops[gateway.DropNodeFull] == 1
	})
	a.telemetry(1)
	a.wantAck(1)
	a.ws.CloseNow()
	n.until("a has left", func() bool { return n.gateway.Stats().Online == 1 })
	n.connect("c")
}

// A handshake that is decided late does not replace a connection whose handshake came
// later, whether its device still waits for the answer or not.
func TestAdmission_OlderHandshake(t *testing.T) {
	for name, leaves := range map[string]bool{"its device waits": false, "its device is gone": true} {
		t.Run(name, func(t *testing.T) {
			var first atomic.Bool
			held := newHoldUp()
			store := &memStore{ask: func(device string) {
				if device == "dev" && first.CompareAndSwap(false, true) {
					held.wait("")
				}
			}}
			n := startNodeOver(t, &memLog{}, store, gateway.Config{AuthWorkers: 4})
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			answered := make(chan error, 1)
			go func() {
				c, _, err := websocket.Dial(ctx, fmt.Sprintf("ws://%s/v1/device?device=dev", n.server.Addr()), &websocket.DialOptions{Subprotocols: []string{envelope.ProtoJSON}})
				if err == nil {
					c.CloseNow()
				}
				answered <- err
			}()
			<-held.reached
			if leaves {
				cancel()
				if <-answered == nil {
					t.Error("the earlier handshake was admitted before its device gave up")
				}
			}
			b := n.connect("dev")
			close(held.end)
			n.until("the late one is dropped", func() bool { return n.gateway.Stats().Drops[gateway.DropSuperseded] == 1 })
			if !leaves && <-answered == nil {
				t.Error("the earlier handshake was admitted")
			}
			b.telemetry(1)
			b.wantAck(1)
			if st := n.gateway.Stats(); st.Online != 1 || st.Takeovers != 0 {
				t.Errorf("%d online, %d takeovers", st.Online, st.Takeovers)
			}
		})
	}
}

// One question hangs: it holds up one worker, and no handshake but its own.
func TestAdmission_StuckQuestion(t *testing.T) {
	held := newHoldUp()
	store := &memStore{ask: func(device string) {
		if device == "slow" {
			held.wait("")
		}
	}}
	n := startNodeOver(t, &memLog{}, store, gateway.Config{AuthWorkers: 2})
	slow := make(chan struct{})
	go func() {
		defer close(slow)
		_, _, _ = n.dialWith("device=slow", nil)
	}()
	<-held.reached
	const many = 60
	var in atomic.Int32
	for i := range many {
		go func() {
			if _, _, err := n.dialWith(fmt.Sprintf("device=d%d", i), nil); err == nil {
				in.Add(1)
			}
		}()
	}
	n.until("all others are in", func() bool { return in.Load() == many })
	close(held.end)
	<-slow
}

// Two connections of one device take over from each other as fast as they can: after
// the free takeovers they are held back, counted, and named in one line.
func TestAdmission_Flapping(t *testing.T) {
	core, lines := observer.New(zap.WarnLevel)
	n := startNode(t, &memLog{}, gateway.Config{FreeTakeovers: 3, Logger: zap.New(core)})
	n.connect("calm")
	n.connect("dev")
	refused, began := 0, time.Now()
	for range 30 {
		if _, status, err := n.dialWith("device=dev", nil); err != nil && status == 503 {
			refused++
		}
	}
	n.until("those refused to be counted", func() bool { return n.gateway.Stats().Drops[gateway.DropFlapping] == uint64(refused) })
	st := n.gateway.Stats()
	if st.Takeovers < 3 || st.Takeovers > 8 || refused < 20 { // the ninth comes two minutes later
		t.Errorf("%d takeovers, %d refused", st.Takeovers, refused)
	}
	n.connect("calm") // another device comes back as ever
	got := lines.FilterMessageSnippet("replace each other").All()
	if most := 1 + int(time.Since(began)/(10*time.Second)); len(got) == 0 || len(got) > most { // one in ten seconds
		t.Errorf("%d lines, want at most %d", len(got), most)
	} else if f := got[0].ContextMap(); f["device_id"] != "dev" || f["addr"] == "" || f["before"] == "" || f["addr"] == f["before"] {
		t.Errorf("the line says %v", f)
	}
	if st.Online != 2 {
		t.Errorf("%d online", st.Online)
	}
}
