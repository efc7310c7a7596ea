package backbone_test

import (
	"bytes"
	"errors"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
	"edgeloop/internal/testkit"
)

// external is a NATS server that listens on loopback: what NATSURL names.
type external struct {
	t    testing.TB
	opts server.Options
	srv  *server.Server
	url  string
}

func startExternal(t testing.TB) *external {
	t.Helper()
	e := prepareExternal(t)
	e.begin()
	return e
}

// prepareExternal makes a server that does not run before begin.
func prepareExternal(t testing.TB) *external {
	t.Helper()
	_, text, _ := net.SplitHostPort(testkit.FreeAddr(t)) // none of those that clients dial from, which could take it while the server is down
	port, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return &external{t: t, opts: server.Options{
		Host: "127.0.0.1", Port: port, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: t.TempDir(), SyncAlways: true, MaxPayload: 8 << 20,
	}}
}

func (e *external) begin() {
	e.start()
	e.url = e.srv.ClientURL()
	e.t.Cleanup(e.stop)
}

func (e *external) start() {
	opts := e.opts
	srv, err := server.NewServer(&opts)
	if err != nil {
		e.t.Errorf("external server: %v", err)
		return
	}
	srv.Start()
	if !srv.ReadyForConnections(time.Minute) {
		e.t.Error("external server is not ready")
	}
	e.opts.Port = opts.Port
	e.srv = srv
}

func (e *external) stop() {
	e.srv.Shutdown()
	e.srv.WaitForShutdown()
}

func (e *external) restart() {
	e.stop()
	e.start()
}

// Presence tells nodes apart by their names, so two of one name would take each
// other's devices for their own.
func TestOpen_NameTaken(t *testing.T) {
	ext := startExternal(t)
	cfg := backbone.Config{NATSURL: ext.url, Node: "one"}
	first := open(t, cfg)
	eventually(t, "the second of one name to be refused", func() bool { // the first has half a second to answer
		b, err := backbone.Open(t.Context(), cfg)
		if err == nil {
			backbonetest.Close(t, b)
		} else if !errors.Is(err, backbone.ErrNameTaken) {
			t.Fatal(err)
		}
		return err != nil
	})
	cfg.Node = "two"
	open(t, cfg)
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	cfg.Node = "one"
	open(t, cfg)
}

// Between the records of a log that nodes share lie their marks, which are no records: who reads
// all gets none.
func TestReader_GivesNoMarks(t *testing.T) {
	ext := startExternal(t)
	b := open(t, backbone.Config{NATSURL: ext.url, Node: "one"})
	backbonetest.Append(t, b, records(1, 2))
	nc, err := nats.Connect(ext.url, nats.Timeout(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if answer, err := nc.Request("edgeloop.sync.two", nil, time.Minute); err != nil || bytes.Contains(answer.Data, []byte("error")) {
		t.Fatalf("%s, %v", answer.Data, err)
	}
	backbonetest.Append(t, b, records(3, 3))
	r, err := b.OpenReader(t.Context(), "sink", backbone.Oldest)
	if err != nil {
		t.Fatal(err)
	}
	enough := errors.New("enough")
	var got []string
	err = r.Read(t.Context(), func(e backbone.Entry) error {
		got = append(got, string(e.Line))
		if len(got) == 3 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || slices.Contains(got, "") {
		t.Errorf("%v, %q", err, got)
	}
}
