package mqtt_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"edgeloop/internal/testkit"
	"edgeloop/sink"
	"edgeloop/sink/mqtt"
	"edgeloop/sink/sinktest"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

const patience = time.Minute

// mosquitto is a broker of its own process, and a mosquitto_sub that hears all it is sent.
type mosquitto struct {
	addr, dir, heard string
	cmd              *exec.Cmd
	password         string // file of the destination's
}

// needs says that a program of the Debian packages must be there.
func needs(t testing.TB, programs ...string) {
	t.Helper()
	t.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin")
	for _, program := range programs {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is missing: run scripts/setup-test.sh", program)
		}
		t.Skipf("%s is missing: run make setup", program)
	}
}

func open(t testing.TB) *mosquitto {
	t.Helper()
	needs(t, "mosquitto", "mosquitto_passwd", "mosquitto_sub")
	b := &mosquitto{addr: testkit.FreeAddr(t), dir: t.TempDir()}
	b.heard, b.password = filepath.Join(b.dir, "heard"), filepath.Join(b.dir, "password")
	put(t, b.password, "right")
	users := filepath.Join(b.dir, "users")
	if out, err := exec.Command("mosquitto_passwd", "-c", "-b", users, "edge", "right").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	put(t, filepath.Join(b.dir, "acl"), "user edge\ntopic readwrite edge/#\ntopic write edgeloop/#\ntopic readwrite cmd/#\n")
	_, port, _ := net.SplitHostPort(b.addr)
	me, err := user.Current() // it would become the user mosquitto, who may not look here
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(b.dir, "conf"), fmt.Sprintf(
		"user %s\nlistener %s 127.0.0.1\nallow_anonymous false\npassword_file %s\nacl_file %s/acl\npersistence true\npersistence_location %s/\nmax_queued_messages 0\nmessage_size_limit 20000\nmax_packet_size 25000\n",
		me.Username, port, users, b.dir, b.dir))
	b.up(t)
	t.Cleanup(b.down)
	b.listen(t)
	return b
}

func put(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (b *mosquitto) up(t testing.TB) {
	t.Helper()
	b.cmd = exec.Command("mosquitto", "-c", filepath.Join(b.dir, "conf"))
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, patience, "the broker to listen", func() bool {
		c, err := net.Dial("tcp", b.addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// down ends the broker as a service manager does: with its state written to the disk.
func (b *mosquitto) down() {
	if b.cmd != nil {
		_ = b.cmd.Process.Signal(os.Interrupt)
		_ = b.cmd.Wait()
		b.cmd = nil
	}
}

// listen has a mosquitto_sub write down what comes, with a session that outlives the broker.
func (b *mosquitto) listen(t testing.TB) {
	t.Helper()
	f, err := os.Create(b.heard)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(b.addr)
	sub := exec.Command("stdbuf", "-oL", "mosquitto_sub", "-h", "127.0.0.1", "-p", port, "-V", "5", "-u", "edge", "-P", "right", "-d",
		"-c", "-i", "watcher", "-x", "3600", "-q", "1", "-t", "edge/#", "-F", `{"topic":"%t","retain":%r,"type":"%C","answer":"%R","correlation":"%D","props":"%P","of":%p}`)
	sub.Stdout = f
	if err := sub.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sub.Process.Kill(); _ = sub.Wait(); f.Close() })
	testkit.Eventually(t, patience, "somebody to listen", func() bool {
		text, err := os.ReadFile(b.heard)
		return err == nil && bytes.Contains(text, []byte("SUBACK"))
	})
}

// message is what mosquitto_sub says of one.
type message struct {
	Topic  string
	Retain int
	Props  string

	Type, Answer, Correlation string
	Of                        json.RawMessage
}

func (b *mosquitto) messages(t *testing.T) (out []message) {
	t.Helper()
	text, err := os.ReadFile(b.heard)
	if err != nil {
		t.Fatal(err)
	}
	again, seen := false, map[string]bool{} // what the broker repeats, because it ended before the listener's PUBACK
	for line := range strings.Lines(string(text)) {
		var m message
		switch {
		case strings.Contains(line, "received PUBLISH (d"):
			again = strings.Contains(line, "(d1")
		case line[0] == '{' && json.Unmarshal([]byte(line), &m) == nil: // the last one may be half written
			if key := m.Topic + string(m.Of); !again || !seen[key] {
				out, seen[key] = append(out, m), true
			}
		}
	}
	return out
}

func (b *mosquitto) received(t *testing.T) (ids []string) {
	t.Helper()
	for _, m := range b.messages(t) {
		var r struct{ Position string }
		if err := json.Unmarshal(m.Of, &r); err != nil {
			t.Errorf("%s: %v", m.Of, err)
		}
		ids = append(ids, r.Position)
	}
	return ids
}

func (b *mosquitto) keys() map[string]any {
	return map[string]any{"url": "mqtt://" + b.addr, "user": "edge", "password_file": b.password, "topic": "edge/{tenant}/{topic}", "client_id": "sink"}
}

func TestMQTT_IsADestination(t *testing.T) {
	sinktest.Run(t, func(t *testing.T) *sinktest.Harness {
		b := open(t)
		return &sinktest.Harness{
			New:      func(t *testing.T) sink.Destination { return sinktest.New(t, mqtt.New, b.keys()) },
			Received: b.received,
			Down:     func(*testing.T) { b.down() }, Up: func(t *testing.T) { b.up(t) },
			Hang: func(t *testing.T) func() {
				testkit.Freeze(t, b.cmd.Process)
				return func() { testkit.Thaw(t, b.cmd.Process) }
			},
			Credentials: func(t *testing.T, right bool) {
				put(t, b.password, map[bool]string{true: "right", false: "wrong"}[right])
			},
			ByDevice: true,
		}
	})
}

// retained is the topics of which the broker keeps a message, one at least. It listens for a
// second, and again where the machine gave it too little of that.
func (b *mosquitto) retained(t *testing.T) (topics []string) {
	t.Helper()
	_, port, _ := net.SplitHostPort(b.addr)
	testkit.Eventually(t, patience, "the broker to give what it keeps", func() bool {
		out, _ := exec.Command("mosquitto_sub", "-h", "127.0.0.1", "-p", port, "-V", "5", "-u", "edge", "-P", "right", // it ends with its time, which is an error
			"-t", "edge/#", "--retained-only", "-W", "1", "-F", "%t").Output()
		topics = strings.Fields(string(out))
		return len(topics) > 0
	})
	return topics
}

// With fields, payloads are an object of them.
func TestMQTT_Fields(t *testing.T) {
	b := open(t)
	values := b.keys()
	values["fields"] = sinktest.Fields()
	sinktest.Brings(t, sinktest.New(t, mqtt.New, values), sinktest.Records(1, 1))
	testkit.Eventually(t, patience, "the listener to have it", func() bool { return len(b.messages(t)) > 0 })
	if got := string(b.messages(t)[0].Of); got != sinktest.FieldsText(1) {
		t.Errorf("the payload is %s", got)
	}
}

// A device chooses a topic that mosquitto's acl does not let the node write to: that record is
// refused, and the others arrive. With a topic of the configuration it is of the moment.
func TestMQTT_TopicWithoutLeave(t *testing.T) {
	b := open(t)
	values := b.keys()
	values["topic"] = "{topic}"
	d := sinktest.New(t, mqtt.New, values)
	refused := sinktest.Deliver(t, d, []sink.Record{
		sinktest.Record(1, "edge/a"), sinktest.Record(2, "secret/a"), sinktest.Record(3, "edge/a"),
		sinktest.Record(4, "secret/b"), sinktest.Record(5, "edge/a"), sinktest.Record(6, "edge/b"),
	})
	if want := []string{"testlog-2", "testlog-4"}; !slices.Equal(refused, want) {
		t.Errorf("refused %v, want %v", refused, want)
	}
	testkit.Eventually(t, patience, "the listener to have the others, and those alone", func() bool {
		got := slices.Sorted(slices.Values(b.received(t))) // what was on its way beside a refused one comes twice
		return slices.Equal(slices.Compact(got), []string{"testlog-1", "testlog-3", "testlog-5", "testlog-6"})
	})
	values["topic"] = "secret/{device}"
	n, err := sinktest.Send(t, sinktest.New(t, mqtt.New, values), sinktest.Records(1, 1))
	var no *sink.Refusal
	if n != 0 || err == nil || errors.As(err, &no) {
		t.Errorf("a topic of the configuration: %d confirmed, %v", n, err)
	}
}

// The trace context of a record, and its user properties, go beside it, in user properties; with the
// data alone, what the device said of it goes too, but for where to answer.
func TestMQTT_Trace(t *testing.T) {
	b := open(t)
	r := sinktest.Told()
	sinktest.Brings(t, sinktest.New(t, mqtt.New, b.keys()), []sink.Record{r})
	testkit.Eventually(t, patience, "the listener to have it", func() bool { return len(b.messages(t)) > 0 })
	got := b.messages(t)[0]
	for _, want := range []string{"traceparent:" + r.Trace.Parent, "tracestate:a=1", " user.region:eu", " position:" + r.ID(), " user.position:testlog-99", " user.Device:other", " user.Status:400"} {
		if !strings.Contains(" "+got.Props, want) {
			t.Errorf("%s is not among the properties %s", want, got.Props)
		}
	}
	if strings.Contains(" "+got.Props, " position:testlog-99") || strings.Contains(" "+got.Props, " Device:") || got.Type != "application/json" || got.Answer != "" {
		t.Errorf("the record has %+v", got)
	}
	values := b.keys()
	values["format"], values["client_id"] = "data", "other"
	sinktest.Brings(t, sinktest.New(t, mqtt.New, values), []sink.Record{r})
	testkit.Eventually(t, patience, "the listener to have the data", func() bool {
		all := b.messages(t)
		got = all[len(all)-1]
		return !bytes.Contains(got.Of, []byte("position"))
	})
	if got.Type != "text/x-celsius" || got.Answer != "" || got.Correlation != "c1" || !strings.Contains(got.Props, "user.region:eu") {
		t.Errorf("the data has %+v", got)
	}
}

// BenchmarkMQTT_Send sends batches of 500 records of one device, and of 200. The broker takes
// 20 at once, as Mosquitto does where nobody tells it more.
func BenchmarkMQTT_Send(b *testing.B) {
	for _, devices := range []uint64{1, 200} {
		b.Run(fmt.Sprintf("devices=%d", devices), func(b *testing.B) {
			values := open(b).keys()
			values["topic"] = "edgeloop/{device}" // nobody listens to that
			sinktest.Bench(b, sinktest.New(b, mqtt.New, values), devices)
		})
	}
}

// A broker whose certificate nobody signed whom the operator names is not spoken to.
func TestMQTT_TrustsWhoSigned(t *testing.T) {
	b := open(t)
	b.down()
	a := testkit.NewAuthority(t)
	cert, key := a.Issue("mosquitto", nil)
	secure := testkit.FreeAddr(t)
	_, port, _ := net.SplitHostPort(secure)
	conf, err := os.ReadFile(filepath.Join(b.dir, "conf"))
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(b.dir, "conf"), fmt.Sprintf("%s\nlistener %s 127.0.0.1\ncertfile %s\nkeyfile %s\n", conf, port, cert, key))
	b.up(t)
	sinktest.TrustsWhoSigned(t, mqtt.New, map[string]any{
		"url": "mqtts://" + secure, "topic": "edge/{device}", "client_id": "test", "user": "edge", "password_file": b.password, "ca_file": a.File,
	})
}
