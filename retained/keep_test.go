package retained_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"edgeloop/retained"
)

func (r *rig) write() error { return r.Write(r.Context()) }

// The store is told what has changed, once, and up to where the log is in that. Where nothing has
// changed nothing is written, until the log has gone far.
func TestTable_Write(t *testing.T) {
	r := start(t, 100)
	before := r.store.called()
	r.publish("a", "x", "1")
	r.publish("a", "y", "1")
	r.publish("a", "x", "2")
	r.log.add("{}")
	for range 3 {
		if err := r.write(); err != nil {
			t.Fatal(err)
		}
	}
	r.want("the store", r.store.said(), "a x@3 a y@2")
	if r.store.called() != before+1 || r.store.place.Position != 4 || r.store.place.Log != "log" {
		t.Errorf("%d writes, the place is %+v", r.store.called()-before, r.store.place)
	}
	for range retained.Stride - 1 {
		r.log.add("{}")
	}
	_ = r.write()
	if r.store.called() != before+1 {
		t.Error("the place was written though nothing had changed")
	}
	r.log.add("{}")
	_ = r.write()
	if r.store.called() != before+2 || r.store.place.Position != 4+retained.Stride {
		t.Errorf("the place is %+v when the log has gone far", r.store.place)
	}
	r.publish("a", "x", "")
	_ = r.write()
	r.want("the store", r.store.said(), "a y@2")
	if r.Slots() != 1 {
		t.Errorf("%d slots are left of one topic", r.Slots())
	}
}

// Topics that come and go cost nothing, however many, also while the store cannot be written: no
// more is remembered than may be retained, and what the store has to forget.
func TestTable_ComeAndGo(t *testing.T) {
	r := start(t, 10)
	churn := func(round int) {
		for i := range 1000 {
			topic := fmt.Sprint(round, "/", i)
			if !r.publish("a", topic, "1") {
				t.Fatal("no room for one more")
			}
			r.publish("a", topic, "")
		}
	}
	churn(0)
	if r.Slots() != 0 {
		t.Errorf("%d slots of nothing", r.Slots())
	}
	for i := range 5 {
		r.publish("a", fmt.Sprint("kept/", i), "1")
	}
	_ = r.write()
	for i := range 5 {
		r.publish("a", fmt.Sprint("kept/", i), "")
	}
	r.store.fails = 0
	for round := range 20 {
		for i := range 5 {
			r.publish("a", fmt.Sprint(round, "/", i), "1")
		}
		if r.write() == nil {
			t.Fatal("the store took it")
		}
		for i := range 5 {
			r.publish("a", fmt.Sprint(round, "/", i), "")
		}
		churn(round)
	}
	if n := r.Slots(); n > 5+20 { // one of each write may be in the store
		t.Errorf("%d slots are remembered", n)
	}
	r.store.fails = -1
	r.publish("a", "last", "1")
	_, _ = r.write(), r.write()
	r.want("the store", r.store.said(), "a last@"+fmt.Sprint(len(r.log.lines)))
	if r.Slots() != 1 {
		t.Errorf("%d slots are left of one topic", r.Slots())
	}
}

// What changes while the store is written is written the next time, and a write that failed in its
// middle is done again.
func TestTable_ChangesMeanwhile(t *testing.T) {
	r := start(t, 100)
	for _, topic := range []string{"gone", "changed", "same"} {
		r.publish("a", topic, "1")
	}
	r.store.during = func() {
		r.publish("a", "gone", "")
		r.publish("a", "changed", "2")
		r.store.during = nil
	}
	_ = r.write()
	r.want("the store at first", r.store.said(), "a changed@2 a gone@1 a same@3")
	r.store.fails = 1
	for range 5 {
		_ = r.write()
	}
	if r.store.place.Position != 3 {
		t.Errorf("the place is %+v, and not all before it is in the store", r.store.place)
	}
	r.store.fails = -1
	if err := r.write(); err != nil {
		t.Fatal(err)
	}
	r.want("the store then", r.store.said(), "a changed@5 a same@3")
	if err := r.Check(); err != nil || r.Slots() != 2 {
		t.Errorf("%v, %d slots", err, r.Slots())
	}
}

// However many slots Run looks at, whoever waits for the lock gets it meanwhile.
func TestTable_OthersGetIn(t *testing.T) {
	r := start(t, 100)
	if !r.Hold(func() { r.GiveBack("a", "x") }) {
		t.Error("they do not get it")
	}
}

// Run writes not more often than it may, and at its end.
func TestTable_Run(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, 100)
		before := r.store.called()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			r.Run(ctx)
		}()
		for i := range 100 {
			r.publish("a", "x", fmt.Sprint(i))
			time.Sleep(time.Second)
		}
		if n := r.store.called() - before; n > 10 || n < 9 {
			t.Errorf("%d writes in 100 s", n)
		}
		r.publish("a", "last", "1")
		cancel()
		<-ended
		r.want("the store", r.store.said(), "a last@101 a x@100")
	})
}

// What has expired is taken out, of the store too, and its room is free. [MQTT-3.3.2-5]
func TestTable_Expires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, 100)
		publish := func(topic string, seconds int) {
			l := fmt.Sprintf(`{"tenant":"a","topic":%q,"received":%d,"retain":true,"properties":{"message_expiry":%d},"data":"\"message_expiry\":1"}`, topic, time.Now().UnixMilli(), seconds)
			r.Reserve("a", topic, len(l))
			r.Retain("a", topic, true, r.log.add(l), []byte(l))
		}
		publish("soon", 10)
		publish("renewed", 10)
		publish("late", 1000)
		r.publish("a", "never", `"message_expiry":1`)
		_ = r.write()
		time.Sleep(9 * time.Second)
		publish("renewed", 10)
		_ = r.write()
		r.want("before", r.store.said(), "a late@3 a never@4 a renewed@5 a soon@1")
		time.Sleep(time.Second)
		if m := r.Message(r.Match("a", "soon", "", 1)[0]); !m.Expired(time.Now()) {
			t.Error("it has not expired, and is given")
		}
		_ = r.write()
		r.want("behind", r.has("a", "#"), "late@3 never@4 renewed@5")
		_ = r.write()
		r.want("the store", r.store.said(), "a late@3 a never@4 a renewed@5")
		if err := r.Check(); err != nil || r.Slots() != 3 {
			t.Errorf("%v, %d slots", err, r.Slots())
		}
		time.Sleep(time.Hour)
		r = r.again(100)
		_, _ = r.write(), r.write()
		r.want("an hour later", r.has("a", "#"), "never@4")
		r.want("the store then", r.store.said(), "a never@4")
	})
}
