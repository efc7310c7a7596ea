package mqttapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.uber.org/zap"

	"edgeloop/admin/access"
	"edgeloop/mqttproto"
)

// The one thing that an application may publish: a command of Sparkplug B, to an edge node or to
// a device behind one. It becomes a command of this node to the device that is called as the edge
// node (docs/mqtt.md), which gets it if it is here, as by a broker, and else does not.

// Command is a command to a device that is here. Its bytes are the callee's.
type Command struct {
	Tenant, Device, Name string
	Data                 []byte // JSON
}

// ErrAway is what Config.Command returns of a device that is not here.
var ErrAway = errors.New("mqttapi: the device is not connected")

// sparkplugData is what a device gets as the data of a command of Sparkplug B.
type sparkplugData struct {
	Topic   string `json:"topic"`
	Payload []byte `json:"payload"` // base64
}

// sparkplugCommand is the edge node, and the kind, of a command of Sparkplug B:
// spBv1.0/GROUP/NCMD/EDGE, or spBv1.0/GROUP/DCMD/EDGE/DEVICE.
func sparkplugCommand(topic string) (edge, kind string, ok bool) {
	levels := strings.Split(topic, "/")
	for _, level := range levels {
		if level == "" {
			return "", "", false
		}
	}
	switch {
	case len(levels) < 4 || levels[0] != "spBv1.0":
	case levels[2] == "NCMD" && len(levels) == 4, levels[2] == "DCMD" && len(levels) == 5:
		return levels[3], levels[2], true
	}
	return "", "", false
}

// command carries out what a client publishes, or says why not, which the client may hear.
func (c *client) command(ctx context.Context, m *mqttproto.Publish) (mqttproto.ReasonCode, error) {
	topic := string(m.Topic)
	edge, kind, ok := sparkplugCommand(topic)
	switch {
	case !ok || c.s.cfg.Command == nil:
		return mqttproto.ReasonNotAuthorized, errPublishes
	case !c.who.Scopes.Has(access.Command):
		return mqttproto.ReasonNotAuthorized, fmt.Errorf("a command needs the scope %s, and the token %s has %s: use another token, or give it the scope", access.Command, c.who.Name, c.who.Scopes)
	case m.QoS == 2:
		return mqttproto.ReasonImplementation, errors.New("a command goes with QoS 0 or 1: it reaches its device at most once")
	}
	if err := c.s.cfg.CheckName("device", edge); err != nil {
		return mqttproto.ReasonTopicNameInvalid, fmt.Errorf("the edge node is the device to command: %w", err)
	}
	data, err := json.Marshal(sparkplugData{topic, m.Payload})
	if err != nil {
		return mqttproto.ReasonTopicNameInvalid, fmt.Errorf("the topic is no JSON: %w", err)
	}
	id, err := c.s.cfg.Command(ctx, Command{c.tenant, edge, kind, data})
	c.s.auditLog.Info("commands through MQTT", zap.String("principal", c.who.Name), zap.String("tenant", c.tenant), zap.String("device", edge),
		zap.String("command", kind), zap.String("command_id", id), zap.String("client", c.id), zap.String("remote", c.remote), zap.Error(err))
	switch {
	case errors.Is(err, ErrAway):
		return mqttproto.ReasonNoSubscribers, nil
	case err != nil:
		return mqttproto.ReasonImplementation, err
	}
	return mqttproto.ReasonSuccess, nil
}
