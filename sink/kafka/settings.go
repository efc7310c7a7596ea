package kafka

import (
	"context"
	"net"
	"strconv"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"edgeloop/sink"
	"edgeloop/sink/keys"
)

// settings are a cluster's.
type settings struct {
	brokers     []string
	topic, key  sink.Template
	format      sink.Format
	sasl, user  string
	password    keys.Secret
	tls         bool
	files       keys.TLS
	compression string
	maxBytes    int32
	create      bool
}

// New makes the destination of its keys.
func New(m *keys.Map) sink.Destination {
	c := &cluster{stored: map[string]bool{}, settings: settings{
		brokers:     m.Texts("brokers"),
		topic:       sink.ReadTemplate(m, "topic", "telemetry"),
		key:         sink.ReadTemplate(m, "key", "{tenant}/{device}"),
		format:      sink.ReadFormat(m, sink.FormRecord, sink.FormCloudEvent, sink.FormData),
		sasl:        m.Word("sasl", "none", "none", "plain", "scram-sha-256", "scram-sha-512"),
		user:        m.Text("user", ""),
		password:    m.Secret("password"),
		tls:         m.Flag("tls", false),
		compression: m.Word("compression", "lz4", "none", "gzip", "snappy", "lz4", "zstd"),
		maxBytes:    int32(m.Size("max_bytes", 1_000_000, 1<<10, 64<<20)), //nolint:gosec // in its range
		create:      m.Flag("create", false),
	}}
	if len(c.brokers) == 0 && !m.Has("brokers") {
		m.Fail("brokers", "is missing: give host:port, or a list of them, as in 127.0.0.1:9092")
	}
	for _, one := range c.brokers {
		host, port, err := net.SplitHostPort(one)
		if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || host == "" {
			m.Fail("brokers", "%q: give host:port, or a list of them, as in 127.0.0.1:9092", one)
		}
	}
	if name := c.topic.Expand(&sink.Record{Tenant: "t", Device: "d", Type: "t", Topic: "t"}, topicPart); name != "" && !topicForm().MatchString(name) || name == "." || name == ".." {
		m.Fail("topic", "%q is no name of a topic: give letters, digits, - _ and .", name)
	}
	c.files = m.TLS(c.tls, "tls: true")
	c.check(m)
	return c
}

// check looks at what goes with what.
func (s *settings) check(m *keys.Map) {
	switch {
	case s.sasl == "none" && (s.user != "" || s.password.Given()):
		m.Fail("user", "goes with sasl: give sasl: scram-sha-512, scram-sha-256 or plain")
	case s.sasl != "none" && (s.user == "" || !s.password.Given()):
		m.Fail("sasl", "needs user, and password_file or password_env")
	case s.sasl == "plain" && !s.tls:
		m.Fail("sasl", "plain shows the password to who listens: give tls: true")
	}
}

var codecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

// options are a client's. Files are read again.
func (s *settings) options() ([]kgo.Opt, error) {
	o := []kgo.Opt{
		kgo.SeedBrokers(s.brokers...), kgo.ClientID("edgeloop"), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(codecs[s.compression]), kgo.ProducerBatchMaxBytes(s.maxBytes),
	}
	if s.create {
		o = append(o, kgo.AllowAutoTopicCreation())
	}
	if s.tls {
		c, err := s.files.Config("")
		if err != nil {
			return nil, err
		}
		o = append(o, kgo.DialTLSConfig(c))
	}
	if s.sasl == "none" {
		return o, nil
	}
	password, err := s.password.Read()
	if err != nil {
		return nil, err
	}
	who := scram.Auth{User: s.user, Pass: password}
	switch s.sasl {
	case "plain":
		o = append(o, kgo.SASL(plain.Plain(func(context.Context) (plain.Auth, error) { return plain.Auth{User: s.user, Pass: password}, nil })))
	case "scram-sha-256":
		o = append(o, kgo.SASL(who.AsSha256Mechanism()))
	case "scram-sha-512":
		o = append(o, kgo.SASL(who.AsSha512Mechanism()))
	}
	return o, nil
}
