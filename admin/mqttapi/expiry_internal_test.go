package mqttapi

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"edgeloop/mqttproto"
	"edgeloop/retained"
)

// waiting is a message that waits.
type waiting struct {
	give    func() error
	release func()        // has it wait no more
	place   func() uint64 // that of its client, or group
}

// A message that expires while it waits for what is retained, for an acknowledgement, or for a member
// of its group, is given to nobody, and holds up neither those behind it nor the place.
// [MQTT-3.3.2-5]
func TestMessage_ExpiresWherever(t *testing.T) {
	t.Parallel()
	line := func() []byte {
		return fmt.Appendf(nil, `{"tenant":"acme","device":"meter","type":"telemetry","topic":"t/x","received":%d,"qos":1,"data":1,"properties":{"message_expiry":10}}`, time.Now().UnixMilli())
	}
	reader := func(qos byte) *reading {
		return &reading{c: &client{s: New(Config{}), tenant: "acme", window: newWindow(1), subs: subscriptions{"t/#": {QoS: qos}}}}
	}
	for name, of := range map[string]func(t *testing.T) waiting{
		"what is retained": func(t *testing.T) waiting {
			r, given := reader(0), make(chan struct{})
			r.c.giving = given
			return waiting{func() error { return r.give(t.Context(), 7, line()) }, func() {
				r.c.mu.Lock()
				r.c.giving = nil
				r.c.mu.Unlock()
				close(given)
			}, r.c.window.done}
		},
		"an acknowledgement": func(t *testing.T) waiting {
			r := reader(1)
			_ = r.c.window.add(t.Context(), 5)
			return waiting{func() error { return r.give(t.Context(), 7, line()) }, func() { r.c.window.acknowledge(packetID(5)) }, r.c.window.done}
		},
		"an acknowledgement, retained": func(t *testing.T) waiting {
			r := reader(1)
			_ = r.c.window.add(t.Context(), 5)
			kept := &retained.Message{Line: line()}
			return waiting{func() error { return r.giveRetained(t.Context(), &held{qos: 1}, "t/x", kept) }, func() {
				r.c.window.acknowledge(packetID(5))
			}, func() uint64 {
				if r.c.window.hasRetained() {
					return 0
				}
				return 7
			}}
		},
		"a member": func(t *testing.T) waiting {
			g := newTestGroup(Config{})
			late := &client{id: "late", peer: mqttproto.Peer{Version: mqttproto.V311}, window: newWindow(1)}
			return waiting{func() error { return g.give(t.Context(), 7, line()) }, func() { g.join(late, &subscription{}) }, g.place}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := of(t)
				gave := make(chan error, 1)
				go func() { gave <- New(Config{}).guarded(w.give) }() // there is no loop that could send it
				synctest.Wait()
				if len(gave) > 0 {
					t.Fatal("it does not wait")
				}
				time.Sleep(10 * time.Second)
				w.release()
				if err := <-gave; err != nil || w.place() != 7 {
					t.Errorf("%v, the place is %d, want 7", err, w.place())
				}
			})
		})
	}
}

// What expires while its packet is made does not look like what never does, nor like what has.
// [MQTT-3.3.2-6]
func TestDescribe_ExpiresMeanwhile(t *testing.T) {
	t.Parallel()
	r, m, second := &reading{}, mqttproto.Publish{}, uint32(1)
	r.record.Properties.MessageExpiry = &second // since 1970
	r.describe(&m, 7, nil)
	if got := m.Properties.Uint(mqttproto.PropMessageExpiry, 0); got != 1 {
		t.Errorf("it lasts for %d s", got)
	}
}
