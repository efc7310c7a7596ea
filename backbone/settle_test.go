package backbone_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

// sayTo has the server answer m, which it never got, so.
func sayTo(m *nats.Msg, next func(*nats.Msg) error, data string) error {
	if m.Reply == "" {
		return nil
	}
	return next(&nats.Msg{Subject: m.Reply, Data: []byte(data)})
}

const inProcess = `{"error":{"code":409,"err_code":10158,"description":"duplicate message id is in process"},"stream":"EDGELOOP_UP","seq":0}`

// A leader has proposed the first attempt, says of the second that its ID is in
// process, and loses its place before either is stored. Nothing is in the log, so
// nothing may be heard as durable before a third attempt has stored it.
func TestSettle_InProcessIsNotStored(t *testing.T) {
	for _, n := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d records", n), func(t *testing.T) {
			sent := 0
			publish := func(m *nats.Msg, next func(*nats.Msg) error) error {
				switch sent++; {
				case sent <= n:
					return nil
				case sent <= 2*n:
					return sayTo(m, next, inProcess)
				}
				return next(m)
			}
			b := openWith(t, backbone.Config{NATSURL: startExternal(t).url}, backbone.Seams{Publish: publish, Timeout: 200 * time.Millisecond})
			w := workload{tenant: "default", log: b}
			if err := b.Append(w.records(slices.Repeat([]int{0}, n))); err != nil {
				t.Fatal(err)
			}
			backbonetest.Flush(t, b)
			if err := w.check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// What is found after an unclear end, or what the server says that it has stored,
// counts only with the mark that is written next. The server ends with the mark
// and loses what it had not synced: the record is stored again.
func TestSettle_LostBeforeTheMark(t *testing.T) {
	t.Run("found in the log", func(t *testing.T) {
		var b *backbone.Backbone
		sent := 0
		checkLost(t, startExternal(t), &b, func(m *nats.Msg, next func(*nats.Msg) error) error {
			switch sent++; sent {
			case 1: // stored, and the answer is lost
				silent := *m
				silent.Reply = ""
				return next(&silent)
			case 2: // the mark
				if err := backbone.DeleteLog(t.Context(), b); err != nil {
					t.Error(err)
				}
				return nil // and nobody else makes the log again
			}
			return next(m)
		})
	})
	t.Run("said to be stored", func(t *testing.T) {
		var b *backbone.Backbone
		sent := 0
		checkLost(t, startExternal(t), &b, func(m *nats.Msg, next func(*nats.Msg) error) error {
			switch sent++; sent {
			case 1, 3: // 3 is the mark
				return nil
			case 2:
				return sayTo(m, next, `{"stream":"EDGELOOP_UP","seq":1,"duplicate":true}`)
			}
			return next(m)
		})
	})
}

func checkLost(t *testing.T, ext *external, b **backbone.Backbone, publish func(*nats.Msg, func(*nats.Msg) error) error) {
	t.Helper()
	*b = openWith(t, backbone.Config{NATSURL: ext.url}, backbone.Seams{Publish: publish, Timeout: 200 * time.Millisecond})
	w := workload{tenant: "default", log: *b}
	if err := (*b).Append(w.records([]int{0})); err != nil {
		t.Fatal(err)
	}
	backbonetest.Flush(t, *b)
	if err := w.check(t.Context()); err != nil {
		t.Error(err)
	}
}
