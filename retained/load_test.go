package retained_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"edgeloop/backbone/store"
	"edgeloop/retained"
)

// again is what a new run finds with the same log and store.
func (r *rig) again(most int) *rig {
	r.Helper()
	next := &rig{TB: r.TB, log: r.log, store: r.store}
	next.open(most)
	if err := next.Load(r.Context()); err != nil {
		r.Fatal(err)
	}
	return next
}

// What was not in the store when the node was killed is found in the log, also what was taken out;
// again and again. The store is not written for that.
func TestLoad_FromTheLog(t *testing.T) {
	r := start(t, 100)
	for _, topic := range []string{"out", "changes", "stays"} {
		r.publish("a", topic, "1")
	}
	_ = r.write()
	r.publish("a", "out", "")
	r.publish("a", "changes", "2")
	r.publish("a", "late", "1")
	r.log.add(`{"tenant":"a","topic":"none","data":{"x":1,"retain":true}}`)
	r.store.fails = 0
	calls := r.store.called()
	for range 3 {
		r.log.read = 0
		r = r.again(100)
		r.want("all", r.has("a", "#"), "changes@5 late@6 stays@3")
		if err := r.Check(); err != nil || r.log.read != 4 {
			t.Errorf("%v, %d records were read", err, r.log.read)
		}
	}
	if r.store.called() != calls {
		t.Error("the store was written at the start")
	}
	r.store.fails = -1
	_ = r.write()
	r.want("the store", r.store.said(), "a changes@5 a late@6 a stays@3")
}

// A start that does not get through the log in its time keeps how far it has come, with what was
// retained there, so that a later one comes to the end. Where it came nowhere nothing is written.
func TestLoad_GoesOn(t *testing.T) {
	r := start(t, 100)
	for i := range 7 {
		r.log.add(line("a", fmt.Sprint(i%3), "1"))
	}
	r.log.add(line("a", "0", ""))
	const step = 3
	for round := range 2 {
		ctx, cancel := context.WithCancel(t.Context())
		r.log.during = func(read int) {
			if read == step {
				cancel()
			}
		}
		r.log.read = 0
		next := &rig{TB: t, log: r.log, store: r.store}
		next.open(100)
		if err := next.Load(ctx); !errors.Is(err, context.Canceled) {
			t.Fatalf("it came to its end: %v", err)
		}
		want := []string{"a 0@1 a 1@2 a 2@3", "a 0@4 a 1@5 a 2@6"}[round]
		if r.want("the store", r.store.said(), want); r.store.place != (store.Place{Log: "log", Position: uint64(step * (round + 1))}) {
			t.Errorf("the place is %+v", r.store.place)
		}
	}
	calls, ctx := r.store.called(), canceled(t)
	next := &rig{TB: t, log: r.log, store: r.store}
	next.open(100)
	if err := next.Load(ctx); err == nil || r.store.called() != calls {
		t.Errorf("%v, and the store was called %d times", err, r.store.called()-calls)
	}
	r.log.read, r.log.during = 0, nil
	r = r.again(100)
	r.want("all", r.has("a", "#"), "1@5 2@6")
	if r.log.read != 2 {
		t.Errorf("%d records were read", r.log.read)
	}
}

func canceled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// A node that never retained begins at the end of its log, and says where that is before anything
// is to be retained. Where it cannot there is no table.
func TestLoad_First(t *testing.T) {
	r := &rig{TB: t, log: &memLog{id: "log"}, store: newStore()}
	r.log.add(line("a", "x", "of before"))
	r.open(100)
	r.store.fails = 0
	if r.Load(t.Context()) == nil {
		t.Error("it retains, and would not find what at the next start")
	}
	r.store.fails = -1
	r = r.again(100)
	r.want("all", r.has("a", "#"), "")
	r.publish("a", "x", "1")
	r = r.again(100) // killed before anything else is written
	r.want("all", r.has("a", "#"), "x@2")
}

// A log that is another one, or that lost its end, says nothing by its positions: what was retained
// stays, and whatever comes is newer.
func TestLoad_AnotherLog(t *testing.T) {
	for _, lost := range []bool{false, true} {
		r := start(t, 100)
		r.publish("a", "x", "1")
		r.publish("a", "y", "1")
		r.publish("a", "z", "1")
		_ = r.write()
		want := "x@1 y@0 z@0"
		if r.log.lines = r.log.lines[:1]; !lost {
			r.log.id, r.log.lines, want = "other", []string{line("a", "y", "theirs")}, "x@0 y@1 z@0"
		}
		r.log.read = 0
		r = r.again(100)
		r.want("all", r.has("a", "#"), want)
		if lost != (r.log.read == 0) {
			t.Errorf("lost %v: %d records were read", lost, r.log.read)
		}
		r.publish("a", "z", "2")
		r.publish("a", "x", "")
		r = r.again(100)
		r.want("all behind", r.has("a", "#"), map[bool]string{false: "y@1 z@2", true: "y@0 z@2"}[lost])
	}
}

// A place that is lost has all of the log read.
func TestLoad_NoPlace(t *testing.T) {
	r := start(t, 100)
	r.publish("a", "x", "1")
	_ = r.write()
	r.publish("a", "y", "1")
	r.store.place.Log, r.store.place.Position = "", 0
	r = r.again(100)
	r.want("all", r.has("a", "#"), "x@1 y@2")
}

// What is above a maximum that was lowered is deleted, and that is said.
func TestLoad_Lowered(t *testing.T) {
	r := start(t, 100)
	for i := range 10 {
		r.publish("a", fmt.Sprint(i), "1")
	}
	_ = r.write()
	core, said := observer.New(zapcore.WarnLevel)
	r.Table = retained.New(retained.Config{Log: r.log, Store: r.store, Most: 8, Logger: zap.New(core)})
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, _ := r.Counts(); n != 4 || r.Check() != nil {
		t.Errorf("%d are left of 10, and may be 4: %v", n, r.Check())
	}
	if all := said.FilterField(zap.Int("deleted", 6)).All(); len(all) != 1 {
		t.Errorf("it said %v", said.All())
	}
	_ = r.write()
	if len(r.store.all) != 4 || r.Slots() != 4 {
		t.Errorf("the store has %d, and there are %d slots", len(r.store.all), r.Slots())
	}
}

// below is how topics below own/ are found at: under the device, which publishes nothing but its own
// where others are.
func below(device, topic string) string {
	if strings.HasPrefix(topic, "own/") {
		return device + "/" + topic
	}
	return topic
}

// What lies under another topic than subscribers find it at, as earlier builds have it, is moved: to
// the one that is found there, of which the newest stays, also where the other is in the store
// already. Nobody gets it where it was, and the store has it there no more.
func TestLoad_Moved(t *testing.T) {
	published := func(device, topic string, position uint64) store.RetainedMessage {
		l := strings.Replace(line("a", topic, "1"), `"device":"d"`, fmt.Sprintf(`"device":%q`, device), 1)
		return store.RetainedMessage{Tenant: "a", Topic: topic, Position: position, Line: []byte(l)}
	}
	for _, newer := range []bool{false, true} {
		r := &rig{TB: t, log: &memLog{id: "log"}, store: newStore()}
		r.store.place, r.store.there = store.Place{Log: "log"}, true
		at := map[bool]uint64{false: 4, true: 8}[newer]
		before := []store.RetainedMessage{
			published("evil", "own/x", at), published("evil", "evil/own/x", 6), published("evil", "plain", 7),
			{Tenant: "a", Topic: "torn", Position: 5, Line: []byte("no record")},
		}
		for _, m := range before {
			r.store.all["a "+m.Topic] = m
		}
		for round := range 3 { // as the store was, as it was but another order, and written
			r.Table = retained.New(retained.Config{Log: r.log, Store: r.store, Most: 100, Topic: below})
			if err := r.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
			r.want("all", r.has("a", "#"), fmt.Sprintf("evil/own/x@%d plain@7 torn@5", max(6, at)))
			if err := r.Check(); err != nil {
				t.Error(err)
			}
			if round > 0 {
				if err := r.write(); err != nil {
					t.Fatal(err)
				}
				r.want("the store", r.store.said(), fmt.Sprintf("a evil/own/x@%d a plain@7 a torn@5", max(6, at)))
				if r.Slots() != 3 {
					t.Errorf("%d slots of three messages", r.Slots())
				}
			}
		}
	}
}

// What is found in the log is retained under the topic that subscribers find it at.
func TestLoad_FromTheLogAsHeard(t *testing.T) {
	r := start(t, 100)
	r.log.add(line("a", "own/x", "1"))
	r.log.add(line("a", "own/y", "1"))
	r.log.add(line("a", "own/y", ""))
	r.Table = retained.New(retained.Config{Log: r.log, Store: r.store, Most: 100, Topic: below})
	if err := r.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.want("all", r.has("a", "#"), "d/own/x@1")
}

// Switched off and on again, what was retained is there, with what the log had then; what came
// while it was off is not, and is not read.
func TestLoad_OffAndOn(t *testing.T) {
	r := start(t, 10)
	r.publish("a", "x", "1")
	_ = r.write()
	r.publish("a", "y", "1")
	for range 2 {
		off := &rig{TB: t, log: r.log, store: r.store}
		off.open(100)
		if err := off.SwitchOff(t.Context()); err != nil {
			t.Fatal(err)
		}
		r.log.add(line("a", "z", "of a node that does not retain"))
	}
	r.log.read = 0
	r = r.again(10)
	r.want("all", r.has("a", "#"), "x@1 y@2")
	if r.log.read != 0 {
		t.Errorf("%d records were read", r.log.read)
	}
	r.publish("a", "y", "2")
	r = r.again(10)
	r.want("all behind", r.has("a", "#"), "x@1 y@5")
	never := &rig{TB: t, log: &memLog{id: "log"}, store: newStore()}
	never.open(10)
	if err := never.SwitchOff(t.Context()); err != nil || never.store.called() != 0 {
		t.Errorf("a node that never retained writes %d times: %v", never.store.called(), err)
	}
}
