package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"edgeloop/devicemgr"
	"edgeloop/envelope"
	"edgeloop/gateway"
)

// TestCommand_WhileConnecting: a command is left at the very moment at which its
// device connects. Whichever comes first, it arrives, and once.
func TestCommand_WhileConnecting(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	for i := range 200 {
		key := devicemgr.Key{Tenant: "default", Device: fmt.Sprintf("dev-%d", i)}
		type left struct {
			id  string
			err error
		}
		sent := make(chan left, 1)
		go func() {
			id, _, _, err := n.gateway.Command(context.Background(), key, gateway.Command{Name: "hello", TTL: time.Minute})
			sent <- left{id, err}
		}()
		d := n.connect(key.Device)
		got := d.want("command")
		if l := <-sent; l.err != nil || got.ID != l.id {
			t.Fatalf("%s: got %+v, sent %+v", key.Device, got, l)
		}
		d.telemetry(1)
		for m := (message{}); m.Type != "ack"; {
			var err error
			if m, err = d.read(); err != nil || m.Type == "command" {
				t.Fatalf("%s: %+v, %v after the command", key.Device, m, err)
			}
		}
		d.ws.CloseNow()
	}
}

// TestCommand_BeforeAdmission: the device is in the session table and has no
// answer to its handshake yet. A frame would be lost, so the command waits.
func TestCommand_BeforeAdmission(t *testing.T) {
	t.Parallel()
	held := newHoldUp()
	n := startNode(t, &memLog{lastSeq: held.wait}, gateway.Config{})
	got := make(chan message, 1)
	go func() {
		d, err := n.dial("slow")
		if err != nil {
			t.Error(err)
		}
		got <- d.want("command")
	}()
	<-held.reached
	id, outcome, _, err := n.gateway.Command(context.Background(), devicemgr.Key{Tenant: "default", Device: "slow"},
		gateway.Command{Name: "hello", TTL: time.Minute})
	if err != nil || outcome != gateway.OutcomeLeft {
		t.Errorf("outcome %v, error %v", outcome, err)
	}
	close(held.end)
	if m := <-got; m.ID != id {
		t.Errorf("got %+v, not %s", m, id)
	}
}

// TestCommand_KickedWhileConnecting: a connection that is closed as soon as its
// handshake is answered does not take along what waits for its device.
func TestCommand_KickedWhileConnecting(t *testing.T) {
	t.Parallel()
	held := newHoldUp()
	n := startNode(t, &memLog{lastSeq: held.wait}, gateway.Config{})
	key := devicemgr.Key{Tenant: "default", Device: "kicked"}
	dialled := make(chan *device, 1)
	go func() {
		d, err := n.dial("kicked")
		if err != nil {
			t.Error(err)
		}
		dialled <- d
	}()
	<-held.reached
	id, outcome, _, err := n.gateway.Command(context.Background(), key, gateway.Command{Name: "hello", TTL: time.Minute})
	if err != nil || outcome != gateway.OutcomeLeft {
		t.Errorf("outcome %v, error %v", outcome, err)
	}
	if err := n.gateway.Kick(key, 1008, "go"); err != nil {
		t.Error(err)
	}
	close(held.end)
	(<-dialled).wantClosed(1008)
	if m := n.connect("kicked").want("command"); m.ID != id {
		t.Errorf("got %+v, not %s", m, id)
	}
}

// TestCommand_LeftTooLate: the device connects, and finds nothing, before the
// command is in the store. It is looked for again.
func TestCommand_LeftTooLate(t *testing.T) {
	t.Parallel()
	store := &memStore{}
	n := startNodeOver(t, &memLog{}, store, gateway.Config{})
	var d *device
	store.leave = func(name string) { d = n.connect(name) }
	id, outcome, _, err := n.gateway.Command(context.Background(), devicemgr.Key{Tenant: "default", Device: "early"},
		gateway.Command{Name: "hello", TTL: time.Minute})
	if err != nil || outcome != gateway.OutcomeLeft {
		t.Errorf("outcome %v, error %v", outcome, err)
	}
	if m := d.want("command"); m.ID != id {
		t.Errorf("got %+v, not %s", m, id)
	}
}

// TestCommand_WhileClosing: a connection that is being closed and does not answer
// gets no commands any more; they wait for the next one.
func TestCommand_WhileClosing(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	key := devicemgr.Key{Tenant: "default", Device: "deaf"}
	n.connect("deaf") // and never reads again
	if err := n.gateway.Kick(key, 1008, "go"); err != nil {
		t.Fatal(err)
	}
	id, outcome, _, err := n.gateway.Command(context.Background(), key, gateway.Command{Name: "hello", TTL: time.Minute})
	if err != nil || outcome != gateway.OutcomeLeft {
		t.Fatalf("outcome %v, error %v", outcome, err)
	}
	if !n.store.HasCommands("default", "deaf") {
		t.Fatal("the command was taken for a connection that is being closed")
	}
	if m := n.connect("deaf").want("command"); m.ID != id {
		t.Errorf("got %+v, not %s", m, id)
	}
}

// TestCommand_WrongReply: mallory knows the id of alice's command and answers
// first. Nobody hears it.
func TestCommand_WrongReply(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	alice, mallory := n.connect("alice"), n.connect("mallory")
	replied := make(chan gateway.Reply, 1)
	go func() {
		_, _, reply, err := n.gateway.Command(context.Background(), devicemgr.Key{Tenant: "default", Device: "alice"},
			gateway.Command{Name: "who", Wait: patience})
		if err != nil {
			t.Error(err)
		}
		replied <- reply
	}()
	id := alice.want("command").ID
	mallory.send(message{Type: "reply", ID: id, OK: true, Data: json.RawMessage(`"mallory"`)})
	mallory.telemetry(1)
	mallory.wantAck(1) // the reply was before it
	alice.send(message{Type: "reply", ID: id, OK: true, Data: json.RawMessage(`"alice"`)})
	if r := <-replied; string(r.Data) != `"alice"` {
		t.Errorf("the reply is %s", r.Data)
	}
	alice.send(message{Type: "reply", ID: id, OK: true, Data: json.RawMessage(`"again"`)})
	alice.telemetry(1)
	alice.wantAck(1)
	if st := n.gateway.Stats(); st.RepliesMet != 1 || st.RepliesLate != 2 {
		t.Errorf("%d replies met who waited, %d did not", st.RepliesMet, st.RepliesLate)
	}
}

// TestCommand_Refused: what no protocol could carry, or would cut its device off,
// is refused before anybody gets it.
func TestCommand_Refused(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{MaxCommand: 100})
	n.connect("dave")
	for _, c := range []struct{ field, name, data string }{
		{"name", "", ""},
		{"name", strings.Repeat("x", envelope.MaxName+1), ""},
		{"name", "\xff", ""},
		{"name", "a\u009bb", ""},
		{"data", "x", "{"},
		{"data", "x", "1 2"},
		{"data", "x", "\"\xff\""},
		{"data", "x", `"` + strings.Repeat("x", 100) + `"`},
	} {
		var wrong *gateway.CommandError
		_, _, _, err := n.gateway.Command(context.Background(), devicemgr.Key{Tenant: "default", Device: "dave"},
			gateway.Command{Name: c.name, Data: json.RawMessage(c.data), TTL: time.Minute})
		if !errors.As(err, &wrong) || wrong.Field != c.field || wrong.Reason == "" {
			t.Errorf("%+v: error is %v", c, err)
		}
		if _, _, err := n.gateway.Broadcast("", "", c.name, []byte(c.data)); !errors.As(err, &wrong) || wrong.Field != c.field {
			t.Errorf("broadcast of %+v: error is %v", c, err)
		}
	}
	if n.store.HasCommands("default", "dave") || n.gateway.Stats().CommandsSent != 0 {
		t.Error("a command that was refused was sent or left")
	}
}
