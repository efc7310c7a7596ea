package mqttapi_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync"
	"testing"

	"edgeloop/admin/mqttapi"
)

// said is what a test's node was told to send.
type said struct {
	mu  sync.Mutex
	all []string // guarded by mu
}

func (s *said) command(_ context.Context, c mqttapi.Command) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, c.Tenant+" "+c.Device+" "+c.Name+" "+string(c.Data))
	switch c.Device {
	case "away":
		return "", mqttapi.ErrAway
	case "slow":
		return "", errors.New("it reads too slowly")
	}
	return "id", nil
}

func (s *said) take() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, s.all = s.all, nil
	return all
}

// publish sends a PUBLISH.
func (c *client) publish(topic, payload string, qos byte) {
	c.Helper()
	body := [][]byte{text(topic)}
	if qos > 0 {
		body = append(body, []byte{0, 7})
	}
	if c.v5 {
		body = append(body, []byte{0})
	}
	c.send(packet(0x30|qos<<1, append(body, []byte(payload))...))
}

// ackOf reads a PUBACK or PUBREC, and gives its reason code.
func (c *client) ackOf(first byte) byte {
	c.Helper()
	p := c.next()
	if len(p) < 4 || p[0] != first || binary.BigEndian.Uint16(p[2:]) != 7 {
		c.Fatalf("got % x, want an answer %#x", p, first)
	}
	if len(p) == 4 {
		return 0
	}
	return p[4]
}

// A command of Sparkplug B that an application publishes becomes one to the device that is called
// as the edge node, of the application's tenant, if its token has the scope. Nothing else is taken.
func TestCommand_Sparkplug(t *testing.T) {
	t.Parallel()
	var said said
	n := start(t, t.TempDir(), mqttapi.Config{Command: said.command})
	c, _ := n.enter(hello{id: "host", token: tokenAll, user: "acme", clean: true})
	const toEdge, toPump = "spBv1.0/plant/NCMD/edge", "spBv1.0/plant/DCMD/edge/pump"
	for _, one := range []struct {
		topic string
		qos   byte
		want  byte
		said  string
	}{
		{toEdge, 1, 0, `acme edge NCMD {"topic":"spBv1.0/plant/NCMD/edge","payload":"AP8="}`},
		{toPump, 1, 0, `acme edge DCMD {"topic":"spBv1.0/plant/DCMD/edge/pump","payload":"AP8="}`},
		{"spBv1.0/plant/NCMD/away", 1, 0x10, `acme away NCMD {"topic":"spBv1.0/plant/NCMD/away","payload":"AP8="}`},
		{"spBv1.0/plant/NCMD/slow", 1, 0x83, `acme slow NCMD {"topic":"spBv1.0/plant/NCMD/slow","payload":"AP8="}`},
		{toEdge, 2, 0x83, ""},
		{"spBv1.0/plant/NCMD/\x7f", 1, 0x90, ""},
		{"spBv1.0/plant/NCMD/edge/pump", 1, 0x87, ""},
		{"spBv1.0/plant/DCMD/edge", 1, 0x87, ""},
		{"spBv1.0/plant/NBIRTH/edge", 1, 0x87, ""},
		{"spBv1.0//NCMD/edge", 1, 0x87, ""},
		{"spAv1.0/plant/NCMD/edge", 1, 0x87, ""},
		{"NCMD", 1, 0x87, ""},
	} {
		c.publish(one.topic, "\x00\xff", one.qos)
		if got := c.ackOf(0x40 + one.qos/2*0x10); got != one.want {
			t.Errorf("%s, QoS %d: answered %#x, want %#x", one.topic, one.qos, got, one.want)
		}
		if got := said.take(); one.said == "" && len(got) > 0 || one.said != "" && !slices.Equal(got, []string{one.said}) {
			t.Errorf("%s, QoS %d: commanded %q, want %q", one.topic, one.qos, got, one.said)
		}
	}
	poor, _ := n.enter(hello{id: "poor", token: tokenAcme, clean: true})
	poor.publish(toEdge, "x", 1)
	if p := poor.next(); p[4] != 0x87 || !bytes.Contains(p, []byte("needs the scope command")) || len(said.take()) > 0 {
		t.Errorf("without the scope: % x %q", p, p)
	}
}

// In 3.1.1 too, where a command that does not reach its device is as one by a broker that nobody
// hears, and what is not allowed ends the connection. [MQTT3-3.3.5-2]
func TestCommand_Sparkplug311(t *testing.T) {
	t.Parallel()
	var said said
	n := start(t, t.TempDir(), mqttapi.Config{Command: said.command})
	c, _ := n.enter(hello{id: "host", token: tokenAll, clean: true, v311: true})
	c.publish("spBv1.0/plant/NCMD/away", "0", 0)
	c.publish("spBv1.0/plant/NCMD/away", "1", 1)
	if got := c.ackOf(0x40); got != 0 {
		t.Errorf("answered %#x", got)
	}
	if got := said.take(); len(got) != 2 {
		t.Errorf("commanded %q, want two", got)
	}
	c.publish("spBv1.0/plant/NCMD/edge", "2", 2)
	c.wantEnd(0)
	poor, _ := n.enter(hello{id: "poor", token: tokenAcme, clean: true, v311: true})
	poor.publish("spBv1.0/plant/NCMD/edge", "0", 0)
	poor.wantEnd(0)
	if got := said.take(); len(got) > 0 {
		t.Errorf("commanded %q", got)
	}
}
