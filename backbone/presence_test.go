package backbone_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
	"edgeloop/backbone/names"
)

// A connection takes a state with it and is back before the last of the batch is
// sent. The one answer must not speak for what went down with the old connection:
// nothing would ever publish it again.
func TestPresence_BrokenConnectionLosesNoState(t *testing.T) {
	const devices, breaks = 100, 3
	ext := startExternal(t)
	var b *backbone.Backbone
	opened := make(chan struct{})
	lost := 0
	b = openWith(t, backbone.Config{NATSURL: ext.url, Node: "one"}, backbone.Seams{
		Tell: func(m *nats.Msg, next func(*nats.Msg) error) error {
			<-opened
			if lost == breaks {
				return next(m)
			}
			lost++
			return backbone.ReconnectAsker(b)
		},
	})
	for d := range devices {
		b.PublishPresence(backbone.Presence{Tenant: "acme", Device: fmt.Sprint("d", d), Epoch: 1, Online: true})
	}
	close(opened)
	published(t, b)
	if n, err := statesKept(t, ext); err != nil || n != devices || lost != breaks {
		t.Errorf("%d of %d states are kept, %v; %d were lost on the way", n, devices, err, lost)
	}
}

// A node that stops has said all that it had to say.
func TestPresence_CloseWaits(t *testing.T) {
	ext := startExternal(t)
	b := open(t, backbone.Config{NATSURL: ext.url, Node: "one"})
	const devices = 3000 // several batches
	for d := range devices {
		b.PublishPresence(backbone.Presence{Tenant: "acme", Device: fmt.Sprint("d", d), Epoch: 1})
	}
	if err := b.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	open(t, backbone.Config{NATSURL: ext.url, Node: "one"})
	if n, err := statesKept(t, ext); err != nil || n != devices {
		t.Errorf("%d of %d states are kept, %v", n, devices, err)
	}
}

// Another node spoke of a later connection than the one whose record is the last. The
// next connection here goes on above both, or that node would take it for an older one.
func TestPresence_LastKnowsItsEpoch(t *testing.T) {
	ext := startExternal(t)
	one := open(t, backbone.Config{NATSURL: ext.url, Node: "one"})
	two := open(t, backbone.Config{NATSURL: ext.url, Node: "two"})
	for _, epoch := range []uint64{7, 3} { // as it was published last, and no less than the record
		one.PublishPresence(backbone.Presence{Tenant: "acme", Device: "d", Epoch: epoch, Online: true})
		published(t, one)
		if last, err := two.Last(t.Context(), "acme", "d"); err != nil || last.Epoch != epoch || last.Seq != 0 {
			t.Errorf("after epoch %d: %+v, %v", epoch, last, err)
		}
	}
	if err := one.Append([]backbone.Record{{Tenant: "acme", Device: "d", Epoch: 5, Seq: 1, Type: "telemetry", Data: []byte("1")}}); err != nil {
		t.Fatal(err)
	}
	backbonetest.Flush(t, one)
	if last, err := two.Last(t.Context(), "acme", "d"); err != nil || last.Epoch != 5 || last.Seq != 1 {
		t.Errorf("after the record: %+v, %v", last, err)
	}
}

func TestPresence_ReachesOtherNodes(t *testing.T) {
	ext := startExternal(t)
	one := open(t, backbone.Config{NATSURL: ext.url, Node: "one"})
	two := open(t, backbone.Config{NATSURL: ext.url, Node: "two"})
	got := watch(t, two)
	one.PublishPresence(backbone.Presence{Tenant: "acme", Device: "d", Epoch: 9, Online: true})
	eventually(t, "the other node's device", func() bool { return got()["d"].Epoch == 9 })
	ext.restart()
	one.PublishPresence(backbone.Presence{Tenant: "acme", Device: "d", Epoch: 10, Online: true})
	eventually(t, "it again, after the server's restart", func() bool { return got()["d"].Epoch == 10 })
	if node := got()["d"].Node; node != "one" {
		t.Errorf("node %q", node)
	}
}

func published(t *testing.T, b *backbone.Backbone) {
	t.Helper()
	eventually(t, "presence to be published", func() bool { return b.Stats().PresenceQueued == 0 })
}

// watch collects the newest state of each device until the test ends.
func watch(t *testing.T, b *backbone.Backbone) (got func() map[string]backbone.Presence) {
	got, _ = backbonetest.Watch(t, b.WatchPresence)
	return got
}

// statesKept is of how many devices a state is kept.
func statesKept(t *testing.T, ext *external) (uint64, error) {
	t.Helper()
	js, _ := streamOf(t, ext)
	s, err := js.Stream(t.Context(), names.StreamPresence)
	if err != nil {
		return 0, err
	}
	return s.CachedInfo().State.Msgs, nil
}
