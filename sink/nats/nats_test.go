package nats_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"edgeloop/internal/testkit"
	"edgeloop/sink"
	"edgeloop/sink/keys"
	sinknats "edgeloop/sink/nats"
	"edgeloop/sink/sinktest"
)

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "edgeloop-nats-")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "nats-server")
	if out, err := exec.Command("go", "build", "-o", binary, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		panic(string(out))
	}
	sinknats.Within(patience) // so that whether batches are sent hangs on no busy machine
	goleak.VerifyTestMain(testkit.Main{M: m}, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(dir) // in the system's temporary folder
		os.Exit(code)
	}))
}

// server is a nats-server of its own process.
type server struct {
	addr, dir string
	cmd       *exec.Cmd
	more      []string // arguments
	ca        string   // file of who signed its certificate; "": it has none
	together  bool     // its stream takes batches
}

// login are the options of who looks into it.
func (s *server) login() []nats.Option {
	o := []nats.Option{nats.UserInfo("edge", "right"), nats.Timeout(patience)}
	if s.ca != "" {
		o = append(o, nats.RootCAs(s.ca))
	}
	return o
}

const patience = time.Minute

func (s *server) up(t testing.TB) {
	t.Helper()
	host, port, _ := net.SplitHostPort(s.addr)
	s.cmd = exec.Command(binary, append([]string{"-a", host, "-p", port, "-js", "-sd", s.dir, "--user", "edge", "--pass", "right", "-l", filepath.Join(s.dir, "log")}, s.more...)...)
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.makeStream(t)
}

// makeStream waits until the server takes connections, and makes the stream.
func (s *server) makeStream(t testing.TB) {
	t.Helper()
	testkit.Eventually(t, patience, "the server to take connections", func() bool {
		nc, err := nats.Connect("nats://"+s.addr, s.login()...)
		if err != nil {
			return false
		}
		defer nc.Close()
		js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(patience))
		if err != nil {
			return false
		}
		_, err = js.CreateOrUpdateStream(t.Context(), jetstream.StreamConfig{Name: "IN", Subjects: []string{"in.>"}, MaxMsgSize: 4096, AllowAtomicPublish: s.together})
		return err == nil
	})
}

func (s *server) down() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

// received reads the whole stream.
func (s *server) received(t *testing.T) (ids []string) {
	t.Helper()
	nc, err := nats.Connect("nats://"+s.addr, s.login()...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "IN")
	if err != nil {
		t.Fatal(err)
	}
	for n := uint64(1); n <= stream.CachedInfo().State.LastSeq; n++ {
		m, err := stream.GetMsg(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		var r struct{ Position, Device string }
		if err := json.Unmarshal(m.Data, &r); err != nil || strings.TrimSuffix(m.Subject, ".temp") != "in.default."+r.Device {
			t.Fatalf("%s %s: %v", m.Subject, m.Data, err)
		}
		ids = append(ids, r.Position)
	}
	return ids
}

func open(t testing.TB) (*server, map[string]any) {
	t.Helper()
	return openWith(t, false)
}

func openWith(t testing.TB, together bool) (*server, map[string]any) {
	t.Helper()
	s := &server{addr: testkit.FreeAddr(t), dir: t.TempDir(), together: together}
	s.up(t)
	t.Cleanup(s.down)
	password := filepath.Join(t.TempDir(), "password")
	put(t, password, "right")
	return s, map[string]any{"url": "nats://" + s.addr, "user": "edge", "password_file": password, "subject": "in.{tenant}.{device}"}
}

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// With many records on their way the server is killed: what was confirmed from the front is
// there, and when all has come again, each device's records are there once and in order.
func TestNATS_KilledInTheMiddle(t *testing.T) {
	for name, together := range map[string]bool{"one by one": false, "together": true} {
		t.Run(name, func(t *testing.T) { killedInTheMiddle(t, together) })
	}
}

func killedInTheMiddle(t *testing.T, together bool) {
	s, values := openWith(t, together)
	d := sinktest.New(t, sinknats.New, values)
	records := sinktest.Records(1, 2000)
	for i := range records {
		records[i].Device = fmt.Sprintf("d%d", i%50)
		records[i].Line = bytes.Replace(records[i].Line, []byte(sinktest.Record(uint64(i+1), "").Device), []byte(records[i].Device), 1)
	}
	watch, err := nats.Connect("nats://"+s.addr, s.login()...)
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Close()
	var heard atomic.Int32
	server := s.cmd.Process
	if _, err := watch.Subscribe("in.>", func(*nats.Msg) {
		if heard.Add(1) == 100 {
			_ = server.Kill()
		}
	}); err != nil || watch.Flush() != nil {
		t.Fatal(err)
	}
	n, err := sinktest.Send(t, d, records)
	if err == nil {
		t.Log("the machine is so busy that all were confirmed before the server was killed")
	}
	s.down()
	s.up(t)
	if got := s.received(t); len(missing(got, records[:n])) > 0 {
		t.Errorf("confirmed and not there: %v", missing(got, records[:n]))
	}
	if n < len(records) {
		if refused := sinktest.Deliver(t, d, records[n:]); refused != nil {
			t.Errorf("refused %v", refused)
		}
	}
	got, at := s.received(t), map[string]int{}
	for i, id := range got {
		at[id] = i
	}
	if len(got) != len(records) || len(missing(got, records)) > 0 {
		t.Errorf("there are %d, missing %v", len(got), missing(got, records))
	}
	for i := 50; i < len(records); i++ {
		if before, r := records[i-50].ID(), records[i].ID(); at[r] < at[before] {
			t.Errorf("%s is there in front of %s, both of %s", r, before, records[i].Device)
		}
	}
}

func missing(got []string, records []sink.Record) (ids []string) {
	for i := range records {
		if !slices.Contains(got, records[i].ID()) {
			ids = append(ids, records[i].ID())
		}
	}
	return ids
}

// A record that is too large for the stream, or for the server, is refused; where no stream
// takes the subject, somebody may make one yet.
func TestNATS_Refuses(t *testing.T) {
	s, values := open(t)
	d := sinktest.New(t, sinknats.New, values)
	for _, size := range []int{5000, 2 << 20} {
		large := sinktest.Record(2, strings.Repeat("x", size))
		n, err := sinktest.Send(t, d, []sink.Record{sinktest.Record(1, "a"), large, sinktest.Record(3, "a"), sinktest.Record(5, "a")})
		var no *sink.Refusal
		if n != 1 || !errors.As(err, &no) || no.Records != 1 {
			t.Errorf("%d bytes: %d confirmed, %v", size, n, err)
		}
	}
	if got := s.received(t); !slices.Contains(got, "testlog-1") || slices.Contains(got, "testlog-5") { // 5 is of the device of 2
		t.Errorf("the stream has %v", got)
	}
	values["subject"] = "nowhere.{tenant}"
	n, err := sinktest.Send(t, sinktest.New(t, sinknats.New, values), sinktest.Records(1, 1))
	var no *sink.Refusal
	if n != 0 || err == nil || errors.As(err, &no) {
		t.Errorf("%d confirmed, %v", n, err)
	}
}

// A device chooses its topic, and must not write by it into what the server keeps for others
// under subjects that begin with $, here a bucket of keys.
func TestNATS_TopicIsNoSubjectOfTheServer(t *testing.T) {
	s, values := open(t)
	nc, err := nats.Connect("nats://"+s.addr, s.login()...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	bucket, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "CONF"})
	if err != nil {
		t.Fatal(err)
	}
	values["subject"] = "{topic}"
	if n, err := sinktest.Send(t, sinktest.New(t, sinknats.New, values), []sink.Record{sinktest.Record(1, "$KV/CONF/door")}); n != 0 || err == nil {
		t.Errorf("%d confirmed, %v", n, err)
	}
	if _, err := bucket.Get(t.Context(), "door"); !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Errorf("the key is there: %v", err)
	}
}

// What cannot work is refused before anything is sent, and no secret is shown.
func TestNATS_RefusedKeys(t *testing.T) {
	for _, c := range []struct {
		values map[string]any
		say    []string
	}{
		{map[string]any{}, []string{"sinks.test.url", "missing"}},
		{map[string]any{"url": "http://x"}, []string{"sinks.test.url", "nats://host:port"}},
		{map[string]any{"url": "nats://u:s3cret@x"}, []string{"sinks.test.url", "password_file"}},
		{map[string]any{"url": "nats://x", "user": "u"}, []string{"sinks.test.user", "password_file"}},
		{map[string]any{"url": "nats://x", "subject": "a.{tenat}"}, []string{"sinks.test.subject", "{tenat}", "{tenant}"}},
		{map[string]any{"url": "nats://x", "creds_file": "/nonexistent"}, []string{"sinks.test.creds_file"}},
		{map[string]any{"url": "nats://x", "mode": "fast"}, []string{"sinks.test.mode", "jetstream, core"}},
	} {
		m := keys.New("sinks.test", c.values)
		sinknats.New(m)
		err := m.Err()
		for _, word := range c.say {
			if err == nil || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v: it says %v, without %q", c.values, err, word)
			}
		}
	}
}

// BenchmarkNATS_Send sends batches of 500 records of one device, and of 200.
func BenchmarkNATS_Send(b *testing.B) {
	for _, devices := range []uint64{1, 200} {
		b.Run(fmt.Sprintf("devices=%d", devices), func(b *testing.B) {
			_, values := open(b)
			sinktest.Bench(b, sinktest.New(b, sinknats.New, values), devices)
		})
	}
}

// With fields, messages are an object of them.
func TestNATS_Fields(t *testing.T) {
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
	values["fields"] = sinktest.Fields()
	sinktest.Brings(t, sinktest.New(t, sinknats.New, values), sinktest.Records(1, 1))
	m, err := sub.NextMsg(patience)
	if err != nil {
		t.Fatal(err)
	}
	if string(m.Data) != sinktest.FieldsText(1) {
		t.Errorf("the message is %s", m.Data)
	}
}

// A stream that is full takes nothing, and that is of the moment: with room again the same records
// come, once.
func TestNATS_Full(t *testing.T) {
	s, values := open(t)
	nc, err := nats.Connect("nats://"+s.addr, s.login()...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	holds := func(most int64) {
		c := jetstream.StreamConfig{Name: "IN", Subjects: []string{"in.>"}, MaxMsgSize: 4096, MaxMsgs: most, Discard: jetstream.DiscardNew}
		if _, err := js.CreateOrUpdateStream(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	holds(2)
	d := sinktest.New(t, sinknats.New, values)
	n, err := sinktest.Send(t, d, sinktest.Records(1, 5))
	var no *sink.Refusal
	if n > 2 || err == nil || errors.As(err, &no) || !strings.Contains(err.Error(), "maximum messages") {
		t.Errorf("of a full stream %d are confirmed, error %v", n, err)
	}
	holds(-1)
	if refused := sinktest.Deliver(t, d, sinktest.Records(uint64(n)+1, 5)); refused != nil { //nolint:gosec // a count
		t.Errorf("refused %v", refused)
	}
	got := s.received(t) // those of different devices in any order
	slices.Sort(got)
	if !slices.Equal(got, sinktest.IDs(sinktest.Records(1, 5)...)) {
		t.Errorf("it has %v", got)
	}
}
