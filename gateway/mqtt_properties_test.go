package gateway_test

import (
	"encoding/binary"
	"encoding/json"
	"strings"
	"testing"

	"edgeloop/backbone"
	"edgeloop/gateway"
)

// user is a user property.
func user(name, value string) string { return "\x26" + string(text(name)) + string(text(value)) }

// publishWith is a PUBLISH of 5.0 and QoS 1 with properties.
func publishWith(id byte, payload string, props ...string) []byte {
	all := strings.Join(props, "")
	size := binary.AppendUvarint(nil, uint64(len(all)))
	return packet(0x32, text("t"), []byte{0, id}, size, []byte(all), []byte(payload))
}

// What a device sends beside its payload is in the record: as it is, in its order, with nothing
// else, but the sequence, and as JSON whatever its bytes are. [MQTT-3.3.2-17] [MQTT-3.3.2-18]
func TestMQTT_Properties(t *testing.T) {
	t.Parallel()
	kept := make(chan string, 10)
	log := &memLog{before: func(records []backbone.Record) error {
		for i := range records {
			kept <- string(records[i].Data) + " " + string(records[i].Properties)
		}
		return nil
	}}
	n := startNode(t, log, gateway.Config{})
	c := n.mqttDevice("d", true)
	large := user("k", strings.Repeat("x", 4070))
	for i, one := range []struct {
		props []string
		want  string // "": refused
	}{
		{nil, `1 `},
		{[]string{user("seq", "7")}, `1 `},
		{[]string{"\x02\x00\x00\x00\x09"}, `1 {"message_expiry":9}`},
		{[]string{"\x01\x01"}, `1 {"payload_format":1}`},
		{
			[]string{user("b", "2"), "\x01\x00", user("seq", "8"), "\x03" + string(text("text/plain")), user("a", "1"), "\x08" + string(text("r/1")), "\x09" + string(text("\x00\xff")), user("b", "2")},
			`1 {"payload_format":0,"content_type":"text/plain","response_topic":"r/1","correlation_data":"AP8=","user":[["b","2"],["a","1"],["b","2"]]}`,
		},
		{[]string{user("\"q\\", "\u2028ü\x01\n")}, "1 {\"user\":[[\"\\\"q\\\\\",\"\u2028ü\\u0001\\n\"]]}"},
		{[]string{large}, `1 {"user":[["k","` + strings.Repeat("x", 4070) + `"]]}`},
		{[]string{large, user("k", strings.Repeat("x", 7))}, ""},
		{[]string{user("k", strings.Repeat("\x01", 700))}, ""}, // 4,200 bytes as JSON
	} {
		id := byte(i + 1)
		c.send(publishWith(id, "1", one.props...))
		if one.want == "" {
			c.want("PUBACK: quota exceeded", 0x40, 4, 0, id, 0x97, 0)
			continue
		}
		c.want("PUBACK", 0x40, 2, 0, id)
		got := <-kept
		_, object, _ := strings.Cut(got, " ")
		if got != one.want || object != "" && !json.Valid([]byte(object)) {
			t.Errorf("kept %s\nwant %s", got, one.want)
		}
	}
	n.until("two to be counted as refused", func() bool { return n.gateway.Stats().Drops[gateway.DropBadEnvelope] == 2 })
	if len(kept) > 0 {
		t.Errorf("it has %s too", <-kept)
	}
}
