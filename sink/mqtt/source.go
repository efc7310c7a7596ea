package mqtt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/eclipse/paho.golang/paho"

	"edgeloop/intake"
	"edgeloop/sink/keys"
)

// What a broker may send ahead, while one command is stored: at most 4 MiB.
const (
	aheadMessages = 16
	aheadSize     = 256 << 10 // of a packet
)

// subscriber is a topic of a broker whose messages are commands.
type subscriber struct {
	// Immutable after construction.
	broker broker
	levels []string // of the topic, with {device} and the like as they are
	filter string
	tenant string // of commands whose topic has none
	expiry time.Duration
}

// NewSource makes the source of its keys.
func NewSource(m *keys.Map) intake.Source {
	host, _ := os.Hostname() // without a name the source's must do
	s := &subscriber{
		broker: readBroker(m, strings.Trim("edgeloop-commands-"+host, "-")+"-"+strings.TrimPrefix(m.Where(), "commands.")),
		expiry: m.Time("session_expiry", 24*time.Hour, time.Minute, 365*24*time.Hour),
	}
	s.readTopic(m)
	s.tenant = m.Text("tenant", "")
	if !strings.Contains(m.Text("topic", defaultTopic), "{tenant}") && s.tenant == "" {
		s.tenant = "default"
	} else if s.tenant != "" && strings.Contains(s.topic(), "{tenant}") {
		m.Fail("tenant", "stands in the topic already: leave one out")
	}
	if group := m.Text("share", ""); group != "" {
		if strings.ContainsAny(group, "/+#") {
			m.Fail("share", "%q: give a name without /, + and #", group)
		}
		s.filter = "$share/" + group + "/" + s.filter
	}
	return s
}

const defaultTopic = "cmd/{tenant}/{device}/{name}"

func (s *subscriber) topic() string { return strings.Join(s.levels, "/") }

// readTopic reads the topic and makes the filter of it: + in the place of each field.
func (s *subscriber) readTopic(m *keys.Map) {
	s.levels = strings.Split(m.Text("topic", defaultTopic), "/")
	filter := make([]string, len(s.levels))
	seen := map[string]bool{}
	for i, level := range s.levels {
		filter[i] = level
		switch {
		case level == "{tenant}" || level == "{device}" || level == "{name}":
			filter[i] = "+"
			if seen[level] {
				m.Fail("topic", "%s is there twice", level)
			}
			seen[level] = true
		case level == "+", level == "#" && i == len(s.levels)-1:
		case strings.ContainsAny(level, "{}+#"):
			m.Fail("topic", "the level %q is none: a level is a text, +, {tenant}, {device} or {name}, and # for all that follow", level)
		}
	}
	if !seen["{device}"] {
		m.Fail("topic", "%q does not say which device: give one with {device}, as in %s", s.topic(), defaultTopic)
	}
	s.filter = strings.Join(filter, "/")
}

// Run implements intake.Source. The session is kept at the broker while the node is away; what
// came meanwhile comes when it is back. Retained messages are none of it: they would come again
// with each subscription.
func (s *subscriber) Run(ctx context.Context, up func(), hand intake.Hand) error {
	var c *conn
	connected := make(chan struct{})
	expiry, ahead, size := uint32(s.expiry/time.Second), uint16(aheadMessages), uint32(aheadSize) //nolint:gosec // a year at most
	alive, cancel := context.WithCancel(ctx)
	defer cancel()
	heard := func(p paho.PublishReceived) (bool, error) {
		<-connected // the broker may speak before it is known here who it is
		if s.take(alive, p.Packet, hand) != nil {
			_ = c.conn.Close() // the library acknowledges what this function has seen: now it cannot
		}
		return true, nil
	}
	within, done := context.WithTimeout(alive, connectWithin)
	defer done()
	var err error
	c, err = s.broker.connect(within, &paho.Connect{
		CleanStart: false,
		Properties: &paho.ConnectProperties{SessionExpiryInterval: &expiry, ReceiveMaximum: &ahead, MaximumPacketSize: &size},
	}, paho.ClientConfig{OnPublishReceived: []func(paho.PublishReceived) (bool, error){heard}}, cancel)
	close(connected)
	if err != nil {
		return fmt.Errorf("connect to the broker: %w", err)
	}
	defer func() { c.close(ctx.Err() != nil) }()
	if err := s.subscribe(within, c); err != nil {
		return err
	}
	up()
	<-alive.Done()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if left := c.state.left.Load(); left != nil {
		return fmt.Errorf("the broker left, saying %s", reason(left.ReasonCode, ""))
	}
	return errors.New("the connection to the broker has ended")
}

// connectWithin is how long a broker may take to connect and to subscribe.
const connectWithin = 20 * time.Second

func (s *subscriber) subscribe(ctx context.Context, c *conn) error {
	alive, cancel := c.during(ctx)
	defer cancel()
	ack, err := c.Subscribe(alive, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: s.filter, QoS: 1, RetainHandling: 2}}})
	if ack != nil && len(ack.Reasons) == 1 && ack.Reasons[0] >= 0x80 {
		return fmt.Errorf("subscribe to %s: the broker says %s", s.filter, reason(ack.Reasons[0], ""))
	}
	if err != nil {
		return fmt.Errorf("subscribe to %s: %w", s.filter, err)
	}
	return nil
}

// take makes a command of a message and hands it over.
func (s *subscriber) take(ctx context.Context, p *paho.Publish, hand intake.Hand) error {
	c, err := s.command(p)
	return hand(ctx, c, err)
}

func (s *subscriber) command(p *paho.Publish) (c intake.Command, err error) {
	levels := strings.Split(p.Topic, "/")
	c.Tenant = s.tenant
	named := false
	for i, level := range s.levels {
		if i >= len(levels) {
			return c, intake.Refuse("the topic %q does not say which device", p.Topic)
		}
		switch level {
		case "{tenant}":
			c.Tenant = levels[i]
		case "{device}":
			c.Device = levels[i]
		case "{name}":
			c.Name, named = levels[i], true
		}
	}
	switch {
	case named && len(p.Payload) > 0:
		if c.Data = p.Payload; !json.Valid(c.Data) {
			return c, intake.Refuse("what came on %q is not one JSON value", p.Topic)
		}
	case !named:
		body, err := intake.Fields(p.Payload)
		if err != nil {
			return c, intake.Refuse("what came on %q %s", p.Topic, err)
		}
		c.Name, c.Data, c.TTL = body.Name, body.Data, body.TTL
	}
	if e := p.Properties.MessageExpiry; e != nil && c.TTL == 0 {
		c.TTL = max(time.Second, time.Duration(*e)*time.Second)
	}
	return c, nil
}
