package mqttapi

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// record is a record as the log has it: docs/data.md.
type record struct {
	Tenant   string          `json:"tenant"`
	Device   string          `json:"device"`
	Seq      uint64          `json:"seq"` // 0: none
	Type     string          `json:"type"`
	Topic    string          `json:"topic"`
	Received int64           `json:"received"` // Unix milliseconds
	QoS      *byte           `json:"qos"`
	Retain   bool            `json:"retain"`
	Data     json.RawMessage `json:"data"`
	Encoding string          `json:"encoding"`

	Properties properties `json:"properties"`
}

// byMQTT says whether the device spoke MQTT: then the topic is one of MQTT.
func (r *record) byMQTT() bool { return r.QoS != nil }

// qos is with which the record came; what came otherwise is as safe as what came with 1.
func (r *record) qos() byte {
	if r.QoS == nil {
		return 1
	}
	return *r.QoS
}

// parse reads a line of the log, which is borrowed.
func (r *record) parse(line []byte) error {
	*r = record{Data: r.Data[:0]}
	if err := json.Unmarshal(line, r); err != nil {
		return fmt.Errorf("a record of the log cannot be read: %w", err)
	}
	return nil
}

// tenantFirst is how a line of the log begins.
var tenantFirst = []byte(`{"tenant":"`)

// foreign says whether a line is plainly of another tenant, without reading more of it than its
// beginning. What it does not know is judged by parse.
func foreign(line []byte, tenant string) bool {
	rest, ok := bytes.CutPrefix(line, tenantFirst)
	end := bytes.IndexByte(rest, '"')
	return ok && end >= 0 && string(rest[:end]) != tenant && bytes.IndexByte(rest[:end], '\\') < 0
}

// payload is the data as it was sent.
func (r *record) payload() ([]byte, error) {
	if r.Encoding != "base64" {
		return r.Data, nil
	}
	var b []byte // which JSON has in base64
	if err := json.Unmarshal(r.Data, &b); err != nil {
		return nil, fmt.Errorf("base64 cannot be read: %w", err)
	}
	return b, nil
}
