package gateway_test

import (
	"runtime"
	"testing"

	"github.com/coder/websocket"

	"edgeloop/devicemgr"
	"edgeloop/gateway"
)

// TestTakeover_Storm: one device connects many times at once, as after a restart
// of a fleet behind a bad radio. One connection stays; every other one was
// answered and is told that it was replaced.
func TestTakeover_Storm(t *testing.T) {
	t.Parallel()
	log := &memLog{lastSeq: func(string) { runtime.Gosched() }}
	n := startNode(t, log, gateway.Config{AuthWorkers: 16})
	const many = 64
	codes := make(chan websocket.StatusCode, many)
	for range many {
		go func() {
			d, status, err := n.dialWith("device=hasty", nil)
			if err != nil {
				t.Errorf("status %d: %v", status, err)
			}
			for err == nil {
				_, err = d.read()
			}
			codes <- websocket.CloseStatus(err)
		}()
	}
	for range many - 1 {
		if code := <-codes; code != 4409 {
			t.Errorf("closed with %d", code)
		}
	}
	key := devicemgr.Key{Tenant: "default", Device: "hasty"}
	if st := n.gateway.Stats(); st.Online != 1 || st.Takeovers != many-1 {
		t.Errorf("%d are online after %d takeovers", st.Online, st.Takeovers)
	}
	if err := n.gateway.Kick(key, 1008, "enough"); err != nil {
		t.Fatal(err)
	}
	if code := <-codes; code != 1008 {
		t.Errorf("the last was closed with %d", code)
	}
	n.until("it has left", func() bool { return n.gateway.Stats().Online == 0 })
}

// TestTakeover_Elsewhere: a newer connection on another node ends an older one
// here, and not one that is newer than it.
func TestTakeover_Elsewhere(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	d := n.connect("roamer")
	n.gateway.Elsewhere("default", "roamer", d.welcome.Epoch-1)
	n.gateway.Elsewhere("default", "roamer", d.welcome.Epoch)
	n.gateway.Elsewhere("default", "nobody", d.welcome.Epoch+1)
	d.telemetry(1)
	d.wantAck(1)
	n.gateway.Elsewhere("default", "roamer", d.welcome.Epoch+1)
	d.wantClosed(4409)
}

// TestTakeover_Group: memberships end with their connection.
func TestTakeover_Group(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	old := n.connect("mover")
	old.send(message{Type: "join", Group: "red"})
	old.telemetry(1)
	old.wantAck(1)
	n.connect("mover")
	if _, devices, err := n.gateway.Broadcast("default", "red", "blink", nil); err != nil || devices != 0 {
		t.Errorf("%d devices, error %v", devices, err)
	}
}

// TestAdmit_Panic: wherever the worker that admits a device panics, the device
// is sent away and no session stays behind; the next try succeeds.
func TestAdmit_Panic(t *testing.T) {
	t.Parallel()
	for name, inject := range map[string]func(*memLog, *memStore, func(string)){
		"while it is identified":       func(_ *memLog, s *memStore, p func(string)) { s.ask = p },
		"while its sequence is looked": func(l *memLog, _ *memStore, p func(string)) { l.lastSeq = p },
		"while it gets its commands":   func(_ *memLog, s *memStore, p func(string)) { s.take = p },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, store := &memLog{}, &memStore{}
			first := make(chan struct{}, 1)
			first <- struct{}{}
			inject(log, store, func(string) {
				select {
				case <-first:
					panic("injected")
				default:
				}
			})
			n := startNodeOver(t, log, store, gateway.Config{})
			_ = store.StoreCommand(t.Context(), "default", "unlucky", "id", []byte(`{"name":"x"}`), 0)
			d, status, err := n.dialWith("device=unlucky", nil)
			switch {
			case err != nil && status != 500:
				t.Errorf("status %d: %v", status, err)
			case err == nil:
				d.wantClosed(1011)
			}
			n.until("nobody is online", func() bool { return n.gateway.Stats().Online == 0 })
			n.connect("unlucky").telemetry(1)
			n.until("it is in the log", func() bool { return len(n.log.of("unlucky")) == 1 })
		})
	}
}
