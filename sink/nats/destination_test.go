package nats_test

import (
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/internal/testkit"
	"edgeloop/sink"
	sinknats "edgeloop/sink/nats"
	"edgeloop/sink/sinktest"
)

func TestNATS_IsADestination(t *testing.T) {
	for _, mode := range []string{"jetstream", "together", "core"} {
		t.Run(mode, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) *sinktest.Harness {
				s, values := openWith(t, mode == "together")
				values["mode"], values["subject"] = map[bool]string{true: "core", false: "jetstream"}[mode == "core"], "in.{tenant}.{device}.{topic}"
				h := &sinktest.Harness{
					New:      func(t *testing.T) sink.Destination { return sinktest.New(t, sinknats.New, values) },
					Received: s.received,
					Down: func(t *testing.T) {
						if mode == "core" { // the server has it then, and what listens to it maybe not yet
							testkit.Eventually(t, patience, "the stream to have heard all", func() bool { return len(s.received(t)) >= 5 })
						}
						s.down()
					},
					Up: func(t *testing.T) { s.up(t) },
					Hang: func(t *testing.T) func() {
						testkit.Freeze(t, s.cmd.Process)
						return func() { testkit.Thaw(t, s.cmd.Process) }
					},
					Credentials: func(t *testing.T, right bool) {
						put(t, values["password_file"].(string), map[bool]string{true: "right", false: "wrong"}[right])
					},
					Once:     true, // by the message id
					ByDevice: mode != "core",
				}
				if mode != "core" { // the core neither keeps nor refuses
					h.Full, h.Refuse = s.full, s.refuse
				}
				return h
			})
		})
	}
}

// full has the stream have no room for more than it has.
func (s *server) full(t *testing.T, full bool) {
	t.Helper()
	s.be(t, func(c *jetstream.StreamConfig, is jetstream.StreamState) {
		c.Discard, c.MaxMsgs = jetstream.DiscardNew, -1
		if full {
			c.MaxMsgs = int64(is.Msgs) //nolint:gosec // a few
		}
	})
}

// refuse has no stream take the topic "poison", or any.
func (s *server) refuse(t *testing.T, one, all bool) {
	t.Helper()
	s.be(t, func(c *jetstream.StreamConfig, _ jetstream.StreamState) {
		switch c.Subjects = []string{"in.>"}; {
		case one:
			c.Subjects = []string{"in.*.*.temp"}
		case all:
			c.Subjects = []string{"nothing"}
		}
	})
}

// be changes the stream that takes what comes.
func (s *server) be(t *testing.T, change func(*jetstream.StreamConfig, jetstream.StreamState)) {
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
	is := stream.CachedInfo()
	change(&is.Config, is.State)
	if _, err := js.UpdateStream(t.Context(), is.Config); err != nil {
		t.Fatal(err)
	}
}
