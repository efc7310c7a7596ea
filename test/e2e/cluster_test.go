package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone"
	"edgeloop/backbone/names"
	"edgeloop/internal/testkit"
)

// natsServer is a NATS server as its makers ship it, with a JetStream of its own.
type natsServer struct {
	t         *testing.T
	bin, conf string
	addr      string
	cmd       *exec.Cmd
	log       *logBuffer
}

// natsBinary is their program, built once.
var natsBinary = sync.OnceValues(func() (string, error) {
	path := filepath.Join(filepath.Dir(nodeBinary), "nats-server")
	if out, err := exec.Command("go", "build", "-o", path, "github.com/nats-io/nats-server/v2").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build nats-server: %w\n%s", err, out)
	}
	return path, nil
})

// startNATS starts one, with these lines more in its configuration.
func startNATS(t *testing.T, more ...string) *natsServer {
	t.Helper()
	bin, err := natsBinary()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := &natsServer{t: t, bin: bin, conf: filepath.Join(dir, "nats.conf"), addr: freeAddr(t), log: &logBuffer{}}
	conf := fmt.Sprintf("listen: %q\njetstream { store_dir: %q, sync_interval: always }\n%s\n", s.addr, filepath.Join(dir, "js"), strings.Join(more, "\n"))
	if err := os.WriteFile(s.conf, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	s.boot()
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the NATS server's log:\n%s", s.log)
		}
	})
	return s
}

func (s *natsServer) boot() {
	s.t.Helper()
	s.cmd = exec.Command(s.bin, "-c", s.conf)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	waitListening(s.t, s.addr)
}

func (s *natsServer) kill() {
	_ = s.cmd.Process.Kill() // it may be gone already
	_ = s.cmd.Wait()         // killed: its exit says nothing
}

func (s *natsServer) url() string { return "nats://" + s.addr }

// client connects to the server past the nodes, until the test ends.
func (s *natsServer) client() jetstream.JetStream {
	s.t.Helper()
	nc, err := nats.Connect(s.url(), nats.Timeout(patience))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(patience))
	if err != nil {
		s.t.Fatal(err)
	}
	return js
}

const presenceSubject = "edgeloop.presence.default."

// wantPresence waits until a device is kept as online, or offline, by the word of a
// node, and returns that.
func (s *natsServer) wantPresence(js jetstream.JetStream, device string, online bool, node string) (p backbone.Presence) {
	s.t.Helper()
	testkit.Eventually(s.t, patience, fmt.Sprintf("%s to be kept as online=%t by %s", device, online, node), func() bool {
		stream, err := js.Stream(s.t.Context(), names.StreamPresence)
		if err != nil {
			s.t.Fatal(err)
		}
		m, err := stream.GetLastMsgForSubject(s.t.Context(), presenceSubject+device)
		return err == nil && json.Unmarshal(m.Data, &p) == nil && p.Online == online && p.Node == node
	})
	return p
}

// say publishes a state of a device as a node would.
func (s *natsServer) say(js jetstream.JetStream, p backbone.Presence) {
	s.t.Helper()
	line, err := json.Marshal(p)
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := js.Publish(s.t.Context(), presenceSubject+p.Device, line); err != nil {
		s.t.Fatal(err)
	}
}

// Two nodes share one log. A device that moves from one to the other is served
// where it is now; the old node lets go of it, with 4409; and both number its
// messages from the same log.
func TestCluster_TakeoverAcrossNodes(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		nats := startNATS(t)
		east := start(t, "--nats-url", nats.url(), "--node=east")
		secret := filepath.Join(east.dir, "device.secret")
		west := start(t, "--nats-url", nats.url(), "--node=west", "--secret-file", secret)
		token := east.token("d1")
		c := startClient(t, lib)

		old, first := c.connectAs(east, token)
		old.send(message{"type": "telemetry", "seq": 1, "data": "east"})
		old.wantAck(1)
		young, second := c.connectAs(west, token)
		old.wantClosed(4409)
		if second.num("epoch") <= first.num("epoch") || second.num("upto") != 1 {
			t.Errorf("first welcome %v, second %v", first, second)
		}
		young.send(message{"type": "telemetry", "seq": 2, "data": "west"})
		young.wantAck(2)
		testkit.Eventually(t, patience, "the old node to let go", func() bool { return !east.online("d1") })
		if !west.online("d1") {
			t.Error("the device is not online where it is")
		}
		// A node publishes in order: whatever it said of d1 is kept when this is.
		probe, _ := c.connectAs(east, east.token("probe"))
		js := nats.client()
		nats.wantPresence(js, "probe", true, "east")
		nats.wantPresence(js, "d1", true, "west")
		probe.close()

		back, third := c.connectAs(east, token)
		young.wantClosed(4409)
		if third.num("epoch") <= second.num("epoch") || third.num("upto") != 2 {
			t.Errorf("second welcome %v, third %v", second, third)
		}
		back.send(message{"type": "telemetry", "seq": 3, "data": "east again"})
		back.wantAck(3)
		for _, n := range []*node{east, west} {
			if log := n.tail("--device", "d1"); len(log) != 3 || log[2].Seq != 3 {
				t.Errorf("the log has %+v", log)
			}
		}
		back.close()
		east.stop()
		west.stop()
	})
}

// What is kept of a device is what was said last, and that may be out of date: said
// late, by a node that lost the device since, or by one that was killed. A reader that knows
// better says so.
func TestCluster_PresenceIsPutRight(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	js := nats.client()
	n := start(t, "--nats-url", nats.url(), "--node=east", "--auth=none")
	here := upgradeRaw(t, n, "?device=here", "")
	upgradeRaw(t, n, "?device=gone", "")
	now := nats.wantPresence(js, "here", true, "east")
	nats.wantPresence(js, "gone", true, "east")
	for _, stale := range []backbone.Presence{
		{Epoch: now.Epoch - 1, Online: true, Node: "west"},
		{Epoch: now.Epoch - 1, Node: "west"},
		{Epoch: now.Epoch + 1, Node: "west"}, // its clock is ahead
	} {
		stale.Tenant, stale.Device = "default", "here"
		nats.say(js, stale)
		if p := nats.wantPresence(js, "here", true, "east"); p.Epoch != now.Epoch {
			t.Errorf("after %+v it is kept as %+v, was %+v", stale, p, now)
		}
	}
	here.wantPongOnly("it was left alone")

	nats.say(js, backbone.Presence{Tenant: "default", Device: "stray", Epoch: 7, Online: true, Node: "east"})
	nats.wantPresence(js, "stray", false, "east")

	n.kill()
	n.boot()
	nats.wantPresence(js, "here", false, "east")
	nats.wantPresence(js, "gone", false, "east")
	upgradeRaw(t, n, "?device=here", "")
	if p := nats.wantPresence(js, "here", true, "east"); p.Epoch <= now.Epoch {
		t.Errorf("it came back with epoch %d, had %d", p.Epoch, now.Epoch)
	}
	n.stop()
	nats.wantPresence(js, "here", false, "east")
}

// The log goes away in mid-stream and comes back. Meanwhile nothing that is sent
// is acknowledged, the node says that it is not ready, and nobody is disconnected
// for it; afterwards everything is there, once and in order.
func TestCluster_LogGoesAwayAndComesBack(t *testing.T) {
	t.Parallel()
	const devices, messages = 20, 3000
	nats := startNATS(t)
	n := start(t, "--nats-url", nats.url(), "--auth=none")
	quiet := upgradeRaw(t, n, "?device=quiet", "")
	quiet.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":0}`))
	quiet.wantText("ack")
	f := launch(t, n, devices, messages, nil)
	f.waitAcked(patience, devices*messages/4)

	nats.kill()
	// No server runs: what is sent from here on cannot be in the log, whatever
	// answers are still on their way for what was sent before.
	quiet.say(frame(fin|opText, `{"type":"telemetry","seq":2,"data":0}`))
	testkit.Eventually(t, patience, "the node to say that it is not ready", func() bool {
		return n.status("/readyz") == http.StatusServiceUnavailable
	})
	if n.status("/healthz") != http.StatusOK {
		t.Error("the node says that it is not alive")
	}
	quiet.wantNoAck(n)
	nats.boot()
	if ack := quiet.wantText("ack"); !containsAll(ack, `"upto":2`) {
		t.Errorf("when the log was back the node sent %s", ack)
	}
	f.waitAcked(3*patience, devices*messages)
	testkit.Eventually(t, patience, "the node to be ready again", func() bool { return n.status("/readyz") == http.StatusOK })
	_, acked := f.acked()
	acked["quiet"] = 2
	if records := checkLog(t, n, acked); records != devices*messages+2 {
		t.Errorf("the log has %d records, %d were sent", records, devices*messages+2)
	}
	for name, s := range f.devices {
		if s.welcomed.Load() != 1 {
			t.Errorf("%s was disconnected: %v", name, s.lastGone.Load())
		}
	}
	n.stop()
}

const failedBatches = "edgeloop_backbone_failed_batches_total"

// wantNoAck gives a node whose log is away the time to acknowledge by mistake
// what the device has sent: it tries the log in vain, several times after it has
// the message.
func (c *rawConn) wantNoAck(n *node) {
	c.t.Helper()
	c.wantPongOnly("the node has the message")
	tried := n.metric(failedBatches, "")
	testkit.Eventually(c.t, patience, "the node to try the log again", func() bool { return n.metric(failedBatches, "") >= tried+4 })
	c.wantPongOnly("it has tried in vain")
}

// wantPongOnly pings the node and insists that nothing but the pong comes: what
// the node sent before would arrive before it.
func (c *rawConn) wantPongOnly(what string) {
	c.t.Helper()
	c.say(frame(fin|opPing, what))
	for {
		switch first, payload, err := c.hear(); {
		case err != nil:
			c.t.Fatalf("waiting for the pong %q: %v", what, err)
		case first == fin|opPong && string(payload) == what:
			return
		case first != fin|opPing:
			c.t.Fatalf("before the pong %q the node sent %#x %q", what, first, payload)
		}
	}
}

// A node with nothing to write notices as well that its log is away, and that it
// is back. The first message then, with no other on its way, is acknowledged when
// the log has it.
func TestCluster_IdleNodeTellsOfItsLog(t *testing.T) {
	t.Parallel()
	nats := startNATS(t)
	n := start(t, "--nats-url", nats.url())
	d := dialRaw(t, n, "d1")
	for seq := range 3 {
		nats.kill()
		testkit.Eventually(t, patience, "the node to say that it is not ready", func() bool {
			return n.status("/readyz") == http.StatusServiceUnavailable
		})
		if seq > 0 {
			d.say(frame(fin|opText, fmt.Sprintf(`{"type":"telemetry","seq":%d,"data":0}`, seq)))
			d.wantNoAck(n)
		}
		nats.boot()
		testkit.Eventually(t, patience, "the node to be ready again", func() bool { return n.status("/readyz") == http.StatusOK })
		if seq > 0 {
			d.wantText("ack")
		}
	}
	checkLog(t, n, map[string]uint64{"d1": 2})
	n.stop()
}
