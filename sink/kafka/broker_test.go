package kafka_test

import (
	"context"
	"crypto/tls"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"edgeloop/internal/testkit"
	"edgeloop/sink"
	"edgeloop/sink/kafka"
	"edgeloop/sink/sinktest"
)

// broker is a Kafka of kfake, which checks sequences of producers as a broker does. It keeps
// what it has when it is down, and can hold back what it is asked.
type broker struct {
	addr, dir  string
	partitions int
	cert       tls.Certificate
	cluster    *kfake.Cluster

	mu   sync.Mutex
	held chan struct{} // closed when it hears again; nil: it hears
}

func (b *broker) up(t *testing.T) {
	t.Helper()
	_, text, _ := net.SplitHostPort(b.addr)
	port, _ := strconv.Atoi(text)
	testkit.Eventually(t, patience, "the broker to start", func() bool {
		c, err := kfake.NewCluster(kfake.Ports(port), kfake.DataDir(b.dir), kfake.SyncWrites(), kfake.SeedTopics(int32(b.partitions), "telemetry"),
			kfake.EnableSASL(), kfake.Superuser("SCRAM-SHA-256", "edge", "right"), kfake.Superuser("PLAIN", "edge", "plain"), kfake.ListenFn(b.listen))
		b.cluster = c
		return err == nil
	})
}

func (b *broker) down() {
	if b.cluster != nil {
		b.cluster.Close()
		b.cluster = nil
	}
}

func (b *broker) listen(network, addr string) (net.Listener, error) {
	ln, err := net.Listen(network, addr)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(&listener{ln, b}, &tls.Config{Certificates: []tls.Certificate{b.cert}, MinVersion: tls.VersionTLS12}), nil
}

// hold has it hear nothing, until resume is called.
func (b *broker) hold() (resume func()) {
	held := make(chan struct{})
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = held
	return sync.OnceFunc(func() { close(held) })
}

type listener struct {
	net.Listener
	b *broker
}

func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &conn{c, l.b}, nil
}

type conn struct {
	net.Conn
	b *broker
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.b.mu.Lock()
	held := c.b.held
	c.b.mu.Unlock()
	if held != nil {
		<-held
	}
	return n, err
}

// records are what the topic has, in the order of its partitions.
func (b *broker) records(t *testing.T) (out []*kgo.Record) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.addr), kgo.ConsumeTopics("telemetry"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(50*time.Millisecond),
		kgo.DialTLSConfig(&tls.Config{InsecureSkipVerify: true}), kgo.SASL(scram.Auth{User: "edge", Pass: "right"}.AsSha256Mechanism())) //nolint:gosec // of the test
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	want := int64(0)
	for _, p := range b.cluster.PartitionInfos("telemetry") {
		want += p.HighWatermark
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for int64(len(out)) < want {
		f := client.PollFetches(ctx)
		if err := f.Err0(); err != nil {
			t.Fatal(err)
		}
		out = append(out, f.Records()...)
	}
	return out
}

func header(r *kgo.Record, key string) string {
	for _, h := range r.Headers {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

func (b *broker) received(t *testing.T) (ids []string) {
	t.Helper()
	for _, r := range b.records(t) {
		ids = append(ids, header(r, "position"))
	}
	return ids
}

// With fields, values are an object of them.
func TestKafka_Fields(t *testing.T) {
	b, values := open(t, 1)
	values["fields"] = sinktest.Fields()
	sinktest.Brings(t, sinktest.New(t, kafka.New, values), sinktest.Records(1, 1))
	if got := b.records(t); len(got) != 1 || string(got[0].Value) != sinktest.FieldsText(1) {
		t.Errorf("the topic has %s", got[0].Value)
	}
}

// The trace context of a record goes beside it, in headers, and user properties do under names that
// mean nothing to who reads.
func TestKafka_Trace(t *testing.T) {
	b, values := open(t, 1)
	r := sinktest.Told()
	sinktest.Brings(t, sinktest.New(t, kafka.New, values), []sink.Record{r})
	got := b.records(t)
	if len(got) != 1 || header(got[0], "traceparent") != r.Trace.Parent || header(got[0], "tracestate") != "a=1" {
		t.Fatalf("the topic has %+v", got)
	}
	for _, one := range r.Properties.User {
		if header(got[0], "user."+one[0]) != one[1] || one[0] != "position" && header(got[0], one[0]) != "" {
			t.Errorf("of %s the headers are %+v", one, got[0].Headers)
		}
	}
	if header(got[0], "position") != r.ID() {
		t.Errorf("the headers are %+v", got[0].Headers)
	}
}
