package mqtt

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/eclipse/paho.golang/paho"

	"edgeloop/sink"
	"edgeloop/sink/keys"
)

// publisher is a broker that takes records.
type publisher struct {
	// Immutable after construction.
	broker broker
	topic  sink.Template
	format sink.Format
	retain sink.Filter
	keeps  bool // there is a rule for what is retained

	// Owned by who sends.
	conn  *conn // nil: none
	turns sink.Turns
}

// New makes the destination of its keys.
func New(m *keys.Map) sink.Destination {
	host, _ := os.Hostname() // without a name the sink's must do
	p := &publisher{
		broker: readBroker(m, strings.Trim("edgeloop-"+host, "-")+"-"+strings.TrimPrefix(m.Where(), "sinks.")),
		topic:  sink.ReadTemplate(m, "topic", "edgeloop/{tenant}/{device}/{type}"),
		format: sink.ReadFormat(m, sink.FormRecord, sink.FormCloudEvent, sink.FormData),
		keeps:  m.Has("retain"),
		retain: sink.ReadFilter(m.Part("retain")),
	}
	if strings.ContainsAny(m.Text("topic", ""), "+#") {
		m.Fail("topic", "+ and # are of topic filters: leave them out")
	}
	return p
}

// connect has a connection.
func (p *publisher) connect(ctx context.Context) (err error) {
	if p.conn != nil && p.conn.alive() {
		return nil
	}
	p.drop(false)
	one := uint16(1) // nothing comes this way
	p.conn, err = p.broker.connect(ctx, &paho.Connect{CleanStart: true, Properties: &paho.ConnectProperties{ReceiveMaximum: &one}}, paho.ClientConfig{}, nil)
	return err
}

func (p *publisher) drop(polite bool) {
	if p.conn != nil {
		p.conn.close(polite)
	}
	p.conn = nil
}

// Send implements sink.Destination.
func (p *publisher) Send(ctx context.Context, records []sink.Record) (int, error) {
	if err := p.connect(ctx); err != nil {
		return 0, fmt.Errorf("connect to the broker: %w", err)
	}
	alive, cancel := p.conn.during(ctx)
	defer cancel()
	out := p.turns.Send(records, p.conn.window, func(r *sink.Record) error { return p.publish(alive, r) })
	if !out.Unclear && p.conn.alive() {
		return out.Confirmed, out.Err
	}
	state := p.conn.state
	p.drop(false) // so that nothing on its way comes behind what is sent again, and what the broker said at last is known
	if left := state.left.Load(); left != nil && errors.Is(out.Err, errNoAnswer) {
		err := judge(left.ReasonCode, fmt.Errorf("the broker left, saying %s: %w", reason(left.ReasonCode, ""), out.Err))
		if no := (*sink.Refusal)(nil); errors.As(err, &no) {
			no.Records = out.Begun - out.Confirmed // it is of one of those that were on their way
		}
		return out.Confirmed, err
	}
	return out.Confirmed, out.Err
}

// errNoAnswer is what became of a record that got no PUBACK.
var errNoAnswer = errors.New("no answer of the broker")

// beside is more than a packet has beside its payload: a topic, and what is kept of properties.
const beside = 16 << 10

// publish brings one record, and waits for its PUBACK. It may run several times side by side.
func (p *publisher) publish(ctx context.Context, r *sink.Record) error {
	m := p.message(r)
	if most := int(p.conn.largest); most > 0 && len(m.Payload)+beside > most && size(m) > most {
		return judge(codeTooLarge, fmt.Errorf("publish to %s: a packet of %d bytes, and the broker takes %d", m.Topic, size(m), most))
	}
	answer, err := p.conn.Publish(ctx, m)
	switch {
	case err == nil:
		return nil
	case answer != nil:
		var said string
		if answer.Properties != nil {
			said = answer.Properties.ReasonString
		}
		if answer.ReasonCode == codeNotAuthorized && p.topic.Chosen() {
			return &sink.Refusal{Records: 1, Reason: fmt.Sprintf("publish to %s: the broker says %s", m.Topic, reason(answer.ReasonCode, said))}
		}
		return judge(answer.ReasonCode, fmt.Errorf("publish to %s: the broker says %s", m.Topic, reason(answer.ReasonCode, said)))
	}
	return fmt.Errorf("publish to %s: %w: %w", m.Topic, errNoAnswer, err)
}

// size is how large a packet is. [MQTT5 3.1.2.11.4]
func size(m *paho.Publish) int {
	n, head := 0, 2
	for _, b := range m.Packet().Buffers() {
		n += len(b)
	}
	for rest := n; rest > 127; rest >>= 7 {
		head++
	}
	return head + n
}

// Close implements sink.Destination.
func (p *publisher) Close(context.Context) error {
	p.drop(true)
	return nil
}
