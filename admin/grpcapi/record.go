package grpcapi

import (
	"encoding/base64"
	"encoding/json"
	"fmt"

	v1 "edgeloop/api/edgeloop/v1"
)

// What a payload is.
const (
	typeJSON  = "application/json"
	typeBytes = "application/octet-stream"
)

// stored is a record as the log has it: docs/data.md.
type stored struct {
	Tenant   string          `json:"tenant"`
	Device   string          `json:"device"`
	Epoch    uint64          `json:"epoch"`
	Seq      uint64          `json:"seq"`
	Type     string          `json:"type"`
	Topic    string          `json:"topic"`
	Level    string          `json:"level"`
	TS       int64           `json:"ts"`
	Received int64           `json:"received"`
	Data     json.RawMessage `json:"data"`
	Encoding string          `json:"encoding"`

	Properties *properties `json:"properties"`
}

// properties are those of a client of MQTT 5.
type properties struct {
	PayloadFormat   *uint32     `json:"payload_format"`
	ContentType     string      `json:"content_type"`
	ResponseTopic   string      `json:"response_topic"`
	CorrelationData []byte      `json:"correlation_data"`
	User            [][2]string `json:"user"`
}

func (p *properties) message() *v1.Properties {
	if p == nil {
		return nil
	}
	out := &v1.Properties{PayloadFormat: p.PayloadFormat, ContentType: p.ContentType, ResponseTopic: p.ResponseTopic, CorrelationData: p.CorrelationData}
	for _, one := range p.User {
		out.User = append(out.User, &v1.UserProperty{Name: one[0], Value: one[1]})
	}
	return out
}

// record reads a line of the log, which is borrowed. nil: it is of another tenant than is
// asked for.
func record(line []byte, tenant string) (*v1.Record, error) {
	var in stored
	if err := json.Unmarshal(line, &in); err != nil {
		return nil, fmt.Errorf("a record of the log cannot be read: %w", err)
	}
	if tenant != "" && in.Tenant != tenant {
		return nil, nil
	}
	out := &v1.Record{
		Tenant: in.Tenant, Device: in.Device, Epoch: in.Epoch, Seq: in.Seq, ReceivedAt: in.Received,
		Type: in.Type, Topic: in.Topic, Level: in.Level, DeviceTime: in.TS,
		Properties: in.Properties.message(),
	}
	var err error
	out.Payload, out.ContentType, err = payload(in.Data, in.Encoding)
	return out, err
}

// payload is data as it was sent, and what it is.
func payload(data json.RawMessage, encoding string) ([]byte, string, error) {
	if encoding != "base64" {
		return data, typeJSON, nil
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return nil, "", fmt.Errorf("base64 is no text: %w", err)
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil, "", fmt.Errorf("base64 cannot be read: %w", err)
	}
	return b, typeBytes, nil
}
