package nats_test

import (
	"context"
	"errors"
	"maps"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"edgeloop/internal/testkit"
	"edgeloop/sink"
	sinknats "edgeloop/sink/nats"
	"edgeloop/sink/sinktest"
)

// guarded is a server whose user may publish in.a and what JetStream needs, and nothing else.
func guarded(t *testing.T) map[string]any {
	t.Helper()
	s := &server{addr: testkit.FreeAddr(t), dir: t.TempDir()}
	conf := filepath.Join(s.dir, "conf")
	put(t, conf, `authorization: {users: [{user: edge, password: right, permissions: {publish: ["in.a", "$JS.API.>"], subscribe: [">"]}}]}
jetstream: {store_dir: "`+s.dir+`"}`)
	host, port, _ := net.SplitHostPort(s.addr)
	s.cmd = exec.Command(binary, "-a", host, "-p", port, "-c", conf)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.down)
	s.makeStream(t)
	password := filepath.Join(s.dir, "password")
	put(t, password, "right")
	return map[string]any{"url": "nats://" + s.addr, "user": "edge", "password_file": password}
}

// A device chooses a subject that the user may not publish to, of which core NATS says so beside
// and drops what comes. That record is refused, by the core and by a stream, and the others are
// confirmed. With a subject of the configuration it is of the moment.
func TestNATS_SubjectWithoutLeave(t *testing.T) {
	values := guarded(t)
	for _, mode := range []string{"core", "jetstream"} {
		values["mode"], values["subject"] = mode, "in.{topic}"
		d := sinktest.New(t, sinknats.New, values)
		refused := sinktest.Deliver(t, d, []sink.Record{
			sinktest.Record(1, "a"), sinktest.Record(2, "b"), sinktest.Record(3, "a"), sinktest.Record(4, "c"), sinktest.Record(5, "a"),
		})
		if want := []string{"testlog-2", "testlog-4"}; !slices.Equal(refused, want) {
			t.Errorf("%s: refused %v, want %v", mode, refused, want)
		}
	}
	values["mode"], values["subject"] = "core", "in.{device}"
	d := sinktest.New(t, sinknats.New, values)
	n, err := sinktest.Send(t, d, sinktest.Records(1, 3))
	var no *sink.Refusal
	if n != 0 || !errors.Is(err, nats.ErrPermissionViolation) || errors.As(err, &no) {
		t.Errorf("a subject of the configuration: %d confirmed, %v", n, err)
	}
	values["subject"] = "in.a"
	sinktest.Brings(t, sinktest.New(t, sinknats.New, values), sinktest.Records(1, 3)) // with leave
}

// Core NATS has what was published when it has answered behind it: of a server that stands still
// nothing is confirmed.
func TestNATS_CoreIsAsked(t *testing.T) {
	s, values := open(t)
	values["mode"] = "core"
	d := sinktest.New(t, sinknats.New, values)
	sinktest.Brings(t, d, sinktest.Records(1, 3)) // there is a connection
	testkit.Freeze(t, s.cmd.Process)
	defer testkit.Thaw(t, s.cmd.Process)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if n, err := d.Send(ctx, sinktest.Records(4, 6)); n != 0 || err == nil {
		t.Errorf("of a server that stands still %d are confirmed, %v", n, err)
	}
}

// A device chooses a subject that no stream takes: its record is refused, and the others are in
// the stream. Where JetStream does not answer, nothing is known of the record.
func TestNATS_SubjectWithoutStream(t *testing.T) {
	s, values := open(t)
	values["subject"] = "{topic}"
	d := sinktest.New(t, sinknats.New, values)
	refused := sinktest.Deliver(t, d, []sink.Record{
		sinktest.Record(1, "in/default/a"), sinktest.Record(2, "out/a"), sinktest.Record(3, "in/default/a"), sinktest.Record(4, "out/b"),
	})
	if want := []string{"testlog-2", "testlog-4"}; !slices.Equal(refused, want) {
		t.Errorf("refused %v, want %v", refused, want)
	}
	s.down()
	host, port, _ := net.SplitHostPort(s.addr)
	s.cmd = exec.Command(binary, "-a", host, "-p", port, "--user", "edge", "--pass", "right") // without JetStream
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, patience, "the server to take connections", func() bool {
		c, err := net.Dial("tcp", s.addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	n, err := sinktest.Send(t, d, []sink.Record{sinktest.Record(5, "in/default/a")})
	var no *sink.Refusal
	if n != 0 || err == nil || errors.As(err, &no) {
		t.Errorf("without JetStream: %d confirmed, %v", n, err)
	}
}

// The trace context of a record goes beside it, in headers, and user properties do under names that
// mean nothing to the server, its clients, and who reads.
func TestNATS_Trace(t *testing.T) {
	s, values := open(t)
	nc, err := nats.Connect("nats://"+s.addr, s.login()...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	sub, err := nc.SubscribeSync("in.>")
	if err != nil || nc.Flush() != nil { // the sink publishes by another connection
		t.Fatal(err)
	}
	r := sinktest.Told()
	sinktest.Brings(t, sinktest.New(t, sinknats.New, values), []sink.Record{r})
	want := nats.Header{"Nats-Msg-Id": {r.ID()}, "traceparent": {r.Trace.Parent}, "tracestate": {"a=1"}}
	for name, value := range map[string]string{"region": "eu", "position": "testlog-99", "Device": "other", "Nats-Msg-Id": "testlog-98", "Status": "400", "__TypeId__": "x"} {
		want["user."+name] = []string{value}
	}
	m, err := sub.NextMsg(patience)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.EqualFunc(m.Header, want, slices.Equal[[]string]) {
		t.Errorf("the message has %v, want %v", m.Header, want)
	}
}

// A server whose certificate nobody signed whom the operator names is not spoken to.
func TestNATS_TrustsWhoSigned(t *testing.T) {
	s, values := open(t)
	s.down()
	a := testkit.NewAuthority(t)
	cert, key := a.Issue("nats", nil)
	s.ca, s.more = a.File, []string{"--tls", "--tlscert", cert, "--tlskey", key}
	s.up(t)
	values["url"], values["ca_file"] = "tls://"+s.addr, a.File
	sinktest.TrustsWhoSigned(t, sinknats.New, values)
	got := s.received(t) // those of different devices in any order
	slices.Sort(got)
	if !slices.Equal(got, sinktest.IDs(sinktest.Records(1, 3)...)) {
		t.Errorf("it has %v", got)
	}
}
