package gateway_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"edgeloop/devicemgr"
	"edgeloop/envelope"
	"edgeloop/gateway"
)

// TestStored_AnyContent: a command that was taken to wait reaches its device as it
// was, whatever its data is made of and whichever protocol the device speaks. Its
// size is checked on what is sent, so nothing grows beyond what may wait for a device.
func TestStored_AnyContent(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"x", "<", "&", "\u2028", "é", `\u003c`, `\"`} {
		for _, proto := range append(envelope.Protocols(), envelope.ProtoRaw) {
			t.Run(content+" "+proto, func(t *testing.T) {
				t.Parallel()
				n := startNode(t, &memLog{}, gateway.Config{}) // as its event loop has it, 256 KiB may wait
				data := `"` + strings.Repeat(content, 120_000/len(content)) + `"`
				key := devicemgr.Key{Tenant: "default", Device: "d"}
				_, outcome, _, err := n.gateway.Command(context.Background(), key,
					gateway.Command{Name: "c", Data: json.RawMessage(data), TTL: time.Minute})
				if err != nil || outcome != gateway.OutcomeLeft {
					t.Fatalf("outcome %v, error %v", outcome, err)
				}
				var o websocket.DialOptions
				if proto != envelope.ProtoRaw {
					o.Subprotocols = []string{proto}
				}
				d, _, err := n.dialWith("device=d", &o)
				if err != nil {
					t.Fatal(err)
				}
				d.ws.SetReadLimit(1 << 20)
				if proto != envelope.ProtoRaw {
					d.hear() // welcome
				}
				_, got := d.hear()
				if proto != envelope.ProtoRaw {
					m, err := understand(proto, got)
					if err != nil {
						t.Fatal(err)
					}
					got = m.Data
				}
				if string(got) != data {
					t.Errorf("%d bytes came, want %d as they were", len(got), len(data))
				}
			})
		}
	}
}

// TestStored_MoreThanMayWait: so many commands wait for a device that they would cut
// it off if they came at once. They stay in the store until it has read those
// before, and all arrive in order; one that cannot arrive any more is counted.
func TestStored_MoreThanMayWait(t *testing.T) {
	t.Parallel()
	const many, size = 40, 60_000 // 2.4 MB, and 256 KiB may wait
	store := &memStore{commands: map[string][]string{}}
	for i := range many {
		store.commands["d"] = append(store.commands["d"], fmt.Sprintf(`%d {"name":"c%d","data":%q}`, i, i, strings.Repeat("x", size)))
	}
	large := fmt.Sprintf(`large {"name":"large","data":%q}`, strings.Repeat("x", 1<<20))
	store.commands["d"] = append(append([]string{large}, store.commands["d"]...), `last {"name":"last"}`)
	n := startNodeOver(t, &memLog{}, store, gateway.Config{})
	d := n.connect("d")
	d.ws.SetReadLimit(1 << 20)
	for i := range many {
		if m := d.want("command"); m.Name != fmt.Sprintf("c%d", i) || len(m.Data) != size+2 {
			t.Fatalf("command %d is %s with %d bytes", i, m.Name, len(m.Data))
		}
	}
	if m := d.want("command"); m.Name != "last" {
		t.Errorf("the last is %s", m.Name)
	}
	if drops := n.gateway.Stats().Drops; drops[gateway.DropCommandLarge] != 1 || drops[gateway.DropCommandSlow] != 0 {
		t.Errorf("drops are %v", drops)
	}
	if store.HasCommands("default", "d") {
		t.Error("commands wait still")
	}
}

// TestStored_UnreadStays: a device that does not read does not take its commands out
// of the store.
func TestStored_UnreadStays(t *testing.T) {
	t.Parallel()
	const many, size = 400, 60_000 // more than sockets buffer
	store := &memStore{commands: map[string][]string{}}
	for i := range many {
		store.commands["d"] = append(store.commands["d"], fmt.Sprintf(`%d {"name":"c","data":%q}`, i, strings.Repeat("x", size)))
	}
	n := startNodeOver(t, &memLog{}, store, gateway.Config{})
	silent := n.connect("d") // which reads nothing more
	left := func() int {
		store.mu.Lock()
		defer store.mu.Unlock()
		return len(store.commands["d"])
	}
	steady, since := left(), time.Now()
	n.until("its socket takes no more", func() bool {
		if now := left(); now != steady {
			steady, since = now, time.Now()
		}
		return steady < many && time.Since(since) > 2*time.Second/3 // three looks
	})
	if steady == 0 {
		t.Error("all commands were taken")
	}
	silent.ws.CloseNow()
	n.until("it has left", func() bool { return n.gateway.Stats().Online == 0 })
	if drops := n.gateway.Stats().Drops; drops[gateway.DropCommandSlow] != 0 {
		t.Errorf("drops are %v", drops)
	}
	waiting := left()
	d := n.connect("d")
	d.ws.SetReadLimit(1 << 20)
	for range waiting {
		d.want("command")
	}
}
