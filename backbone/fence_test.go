package backbone_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

// holdable holds what a node sends to the log while it is locked.
type holdable struct{ sync.RWMutex }

func (g *holdable) publish(m *nats.Msg, next func(*nats.Msg) error) error {
	g.RLock()
	defer g.RUnlock()
	return next(m)
}

// wantLog compares what the log has of each device: "d 1 2 3".
func wantLog(t *testing.T, b *backbone.Backbone, want ...string) {
	t.Helper()
	var got []string
	for _, w := range want {
		name, _, _ := strings.Cut(w, " ")
		for _, line := range readAll(t, b, backbone.ReadOptions{Tenant: "default", Device: name}) {
			last, err := backbone.LastIn([]byte(line))
			if err != nil {
				t.Fatal(err)
			}
			name += fmt.Sprint(" ", last.Seq)
		}
		got = append(got, name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the log has %q, want %q", got, want)
	}
}

func wantHeard(t *testing.T, who string, h *heard, want string) {
	t.Helper()
	if got := h.String(); got != want {
		t.Errorf("of %s was heard %q, want %q", who, got, want)
	}
}

// after is records of a device from one connection that began now.
func after(t *testing.T, b *backbone.Backbone, device string, done backbone.Completion, seqs ...uint64) (rs []backbone.Record) {
	t.Helper()
	last, err := b.Last(t.Context(), "default", device)
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range seqs {
		r := record(device, seq, done)
		r.After = last.Position
		rs = append(rs, r)
	}
	return rs
}

// A device moves to another node while records of it wait at the old one: some in a
// batch with those of others, some behind it. The device sends them again where it
// is, and the old node stores none of them; the others it does.
func TestFence_OvertakenByAnotherNode(t *testing.T) {
	for _, others := range []int{0, 1, 3} {
		t.Run(fmt.Sprintf("in a batch with %d others", others), func(t *testing.T) {
			ext := startExternal(t)
			var way holdable
			east := openWith(t, backbone.Config{NATSURL: ext.url, Node: "east"}, backbone.Seams{Publish: way.publish})
			west := open(t, backbone.Config{NATSURL: ext.url, Node: "west"})
			var old, young, other heard
			backbonetest.Append(t, east, after(t, east, "d", &old, 1, 2))

			way.Lock()
			rs := after(t, east, "d", &old, 3)
			for i := range others {
				rs = append(rs, after(t, east, fmt.Sprint("o", i), &other, 1)...)
			}
			if others > 0 {
				rs = append(rs, after(t, east, "d", &old, 4)...)
			}
			for _, call := range [][]backbone.Record{rs, after(t, east, "d", &old, 5)} {
				if err := east.Append(call); err != nil {
					t.Fatal(err)
				}
			}
			backbonetest.Append(t, west, after(t, west, "d", &young, 3, 4, 5, 6))
			way.Unlock()
			backbonetest.Flush(t, east)

			wantHeard(t, "the old connection", &old, strings.TrimSpace("1 2 x3 "+strings.Repeat("x4 ", min(others, 1))+"x5"))
			wantHeard(t, "the new one", &young, "3 4 5 6")
			wantHeard(t, "the others", &other, strings.TrimSpace(strings.Repeat("1 ", others)))
			wantLog(t, east, "d 1 2 3 4 5 6")
			for i := range others {
				wantLog(t, east, fmt.Sprintf("o%d 1", i))
			}

			// What the old connection left behind stays unwanted, though the log has
			// nothing more that speaks against it.
			late := after(t, east, "d", &old, 9)
			if late[0].After = 0; backbone.PurgeLog(t.Context(), west) != nil {
				t.Fatal("the log was not emptied")
			}
			backbonetest.Append(t, east, late)
			wantLog(t, east, "d")

			// It comes back, and goes on.
			var back heard
			backbonetest.Append(t, east, after(t, east, "d", &back, 7))
			backbonetest.Append(t, east, after(t, east, "d", &back, 8))
			wantHeard(t, "the connection after that", &back, "7 8")
			wantLog(t, west, "d 7 8")
		})
	}
}

// What the log lost by retention, or because its stream was made again, is not
// taken for another node's doing.
func TestFence_RecordsThatAreGone(t *testing.T) {
	for name, lose := range map[string]func(context.Context, *backbone.Backbone) error{
		"emptied": backbone.PurgeLog, "made again": backbone.DeleteLog,
	} {
		t.Run(name, func(t *testing.T) {
			b := open(t, backbone.Config{NATSURL: startExternal(t).url})
			var one, two heard
			backbonetest.Append(t, b, after(t, b, "d", &one, 1, 2))
			idle, busy := after(t, b, "d", &one, 3, 4), after(t, b, "e", &two, 1, 2, 3)
			for i := range 3 {
				if i > 0 {
					if err := lose(t.Context(), b); err != nil {
						t.Fatal(err)
					}
				}
				rs := slices.Clone(busy[i : i+1])
				if i > 0 {
					rs = append(rs, idle[i-1])
				}
				backbonetest.Append(t, b, rs)
			}
			wantHeard(t, "the one that was idle", &one, "1 2 3 4")
			wantHeard(t, "the busy one", &two, "1 2 3")
			wantLog(t, b, "d 4", "e 3")
		})
	}
}

// The answer to a batch is lost. What it stored is found, and is no reason to
// think that another node wrote; what another node wrote then is.
func TestFence_UnclearEnd(t *testing.T) {
	for _, moves := range []bool{false, true} {
		t.Run(fmt.Sprintf("the device moves meanwhile: %v", moves), func(t *testing.T) {
			ext := startExternal(t)
			west := open(t, backbone.Config{NATSURL: ext.url, Node: "west"})
			var old, young, other heard
			lost := make(chan struct{})
			hear := func(m *nats.Msg) *nats.Msg {
				select {
				case <-lost:
					return m
				default:
				}
				if len(m.Data) == 0 { // only staged
					return m
				}
				if close(lost); moves {
					backbonetest.Append(t, west, after(t, west, "d", &young, 3))
				}
				return nil
			}
			east := openWith(t, backbone.Config{NATSURL: ext.url}, backbone.Seams{Hear: hear, Timeout: 200 * time.Millisecond})
			rs := append(after(t, east, "d", &old, 1, 2, 3, 4), after(t, east, "e", &other, 1, 2)...)
			backbonetest.Append(t, east, []backbone.Record{rs[0], rs[4], rs[1]})
			backbonetest.Append(t, east, []backbone.Record{rs[2], rs[5], rs[3]})
			if wantHeard(t, "the other", &other, "1 2"); moves {
				wantHeard(t, "the old connection", &old, "1 2 x3 x4")
				wantLog(t, east, "d 1 2 3", "e 1 2")
				return
			}
			wantHeard(t, "the connection", &old, "1 2 3 4")
			wantLog(t, east, "d 1 2 3 4", "e 1 2")
		})
	}
}

// An attempt stays on its way until the next one is made, and is stored then: it
// is the same node's, so nothing was overtaken.
func TestFence_EarlierAttemptArrivesLate(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprintf("of %d records", n), func(t *testing.T) {
			var late []*nats.Msg
			publish := func(m *nats.Msg, next func(*nats.Msg) error) error {
				switch {
				case len(late) < n:
					late = append(late, &nats.Msg{Subject: m.Subject, Data: slices.Clone(m.Data), Header: cloneHeader(m.Header)})
					return nil
				case len(late) == n:
					for _, old := range late {
						if err := next(old); err != nil {
							return err
						}
					}
					late = append(late, nil)
				}
				return next(m)
			}
			b := openWith(t, backbone.Config{NATSURL: startExternal(t).url}, backbone.Seams{Publish: publish, Timeout: 200 * time.Millisecond})
			var d heard
			backbonetest.Append(t, b, after(t, b, "d", &d, 1, 2, 3)[:n])
			backbonetest.Append(t, b, after(t, b, "d", &d, uint64(n+1)))
			want := strings.Join([]string{"1", "2", "3", "4"}[:n+1], " ")
			wantHeard(t, "the device", &d, want)
			wantLog(t, b, "d "+want)
		})
	}
}

func cloneHeader(h nats.Header) nats.Header {
	c := nats.Header{}
	for k, v := range h {
		c[k] = slices.Clone(v)
	}
	return c
}
