package gateway_test

import (
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"edgeloop/devicemgr"
	"edgeloop/gateway"
)

// TestTakeover_Storm: one device connects many times at once, as after a restart
// of a fleet behind a bad radio. One connection stays; every other one was
// answered, and is told that it was replaced or that it comes too late.
func TestTakeover_Storm(t *testing.T) {
	t.Parallel()
	log := &memLog{lastSeq: func(string) { runtime.Gosched() }}
	n := startNode(t, log, gateway.Config{AuthWorkers: 16})
	const many = 64
	codes := make(chan websocket.StatusCode, many)
	for range many {
		go func() {
			d, status, err := n.dialWith("device=hasty", nil)
			if status == 503 { // a later handshake was decided before
				codes <- 4409
				return
			}
			if err != nil {
				t.Errorf("status %d: %v", status, err)
			}
			for err == nil {
				_, err = d.read()
			}
			codes <- websocket.CloseStatus(err)
		}()
	}
	for range many - 1 {
		if code := <-codes; code != 4409 {
			t.Errorf("closed with %d", code)
		}
	}
	key := devicemgr.Key{Tenant: "default", Device: "hasty"}
	n.until("one to be online, and all others to be counted", func() bool {
		st := n.gateway.Stats()
		return st.Online == 1 && st.Takeovers+st.Drops[gateway.DropSuperseded] == many-1
	})
	if err := n.gateway.Kick(key, 1008, "enough"); err != nil {
		t.Fatal(err)
	}
	if code := <-codes; code != 1008 {
		t.Errorf("the last was closed with %d", code)
	}
	n.until("it has left", func() bool { return n.gateway.Stats().Online == 0 })
}

// TestTakeover_Elsewhere: a newer connection on another node ends an older one
// here, and not one that is newer than it.
func TestTakeover_Elsewhere(t *testing.T) {
	t.Parallel()
	var went wentLog
	n := startNode(t, &memLog{}, gateway.Config{OnPresence: went.note})
	d := n.connect("roamer")
	heard := func(device string, epoch uint64) {
		n.gateway.Heard(gateway.Presence{Tenant: "default", Device: device, Epoch: epoch, Online: true}, -1)
	}
	heard("roamer", d.welcome.Epoch-1)
	heard("roamer", d.welcome.Epoch)
	heard("nobody", d.welcome.Epoch+1)
	d.telemetry(1)
	d.wantAck(1)
	heard("roamer", d.welcome.Epoch+1)
	if st := n.gateway.Stats(); st.Online != 0 {
		t.Errorf("%d are online", st.Online)
	}
	d.wantClosed(4409)
	went.want(t, 1, 1)
}

// wentLog counts the devices that were said to be offline, and of these the ones
// of which another node speaks.
type wentLog struct{ offline, elsewhere atomic.Int32 }

func (w *wentLog) note(p gateway.Presence) {
	if !p.Online {
		w.offline.Add(1)
	}
	if p.Elsewhere {
		w.elsewhere.Add(1)
	}
}

func (w *wentLog) want(t *testing.T, offline, elsewhere int32) {
	t.Helper()
	if off, e := w.offline.Load(), w.elsewhere.Load(); off != offline || e != elsewhere {
		t.Errorf("%d went, %d of them elsewhere, want %d and %d", off, e, offline, elsewhere)
	}
}

// TestTakeover_Overtaken: a device went to another node while messages of it were
// on their way to the log here, and may be back. Those are dropped; the connection
// it has ends, and on the next one it is told what the log has and goes on.
func TestTakeover_Overtaken(t *testing.T) {
	t.Parallel()
	for _, back := range []bool{false, true} {
		log := newSteppedLog()
		var went wentLog
		n := startNodeOn(t, log, gateway.Config{SharedLog: true, OnPresence: went.note})
		taken := func(want int) {
			t.Helper()
			n.until(fmt.Sprintf("the log takes %d messages", want), func() bool {
				got, _, _ := log.state()
				return len(got) == want
			})
		}
		d := n.connect("mover")
		for seq := range uint64(3) {
			d.telemetry(seq + 1)
		}
		d.send(message{Type: "telemetry", Data: json.RawMessage(`"without"`)})
		taken(4)
		log.commit(1)
		d.wantAck(1)
		log.foreign(stepped{epoch: 9, seq: 2, high: 2, data: "2"})
		if back {
			old := d
			d = n.connect("mover")
			old.wantClosed(4409)
			d.telemetry(4)
			taken(6)
		}
		lost := log.waiting()
		for _, r := range lost {
			if !r.done.Wanted() {
				t.Errorf("%d is not wanted", r.seq)
			}
		}
		log.commit(-1)
		if len(log.wanted) > 0 {
			t.Errorf("%d are still wanted", log.wanted)
		}
		d.wantClosed(1011)
		went.want(t, 1, 0)
		if st := n.gateway.Stats(); st.Online != 0 || st.Remembered != 0 || int(st.Drops[gateway.DropOvertaken]) != len(lost) || len(lost) < 3 {
			t.Errorf("%d online, %d remembered, %d overtaken, want %d", st.Online, st.Remembered, st.Drops[gateway.DropOvertaken], len(lost))
		}
		d = n.connect("mover")
		if d.welcome.Upto != 2 {
			t.Errorf("was told %d, want 2", d.welcome.Upto)
		}
		d.telemetry(3)
		taken(3)
		if got := log.lastAfter(); got != 2 {
			t.Errorf("its record belongs behind position %d, want 2", got)
		}
		log.commit(-1)
		d.wantAck(3)
		var seqs []uint64
		for got, _, _ := log.state(); len(seqs) < len(got); {
			seqs = append(seqs, got[len(seqs)].seq)
		}
		if !slices.Equal(seqs, []uint64{1, 2, 3}) {
			t.Errorf("the log has %v", seqs)
		}
	}
}

// TestTakeover_OldClock: the last record of a device has a higher epoch than the
// clock gives, because it was set back and the node started again. The device's
// epoch goes on above it all the same, and presence says so.
func TestTakeover_OldClock(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		log := newSteppedLog()
		const future = 1 << 52
		log.foreign(stepped{epoch: future, seq: 7, high: 7})
		var mu sync.Mutex
		var online []uint64
		n := startNodeOn(t, log, gateway.Config{SharedLog: shared, OnPresence: func(p gateway.Presence) {
			mu.Lock()
			defer mu.Unlock()
			if p.Online {
				online = append(online, p.Epoch)
			}
		}})
		one := n.connect("old")
		two := n.connect("old")
		one.wantClosed(4409)
		if one.welcome.Epoch != future+1 || two.welcome.Epoch != future+2 || one.welcome.Upto != 7 {
			t.Errorf("welcomes %+v and %+v", one.welcome, two.welcome)
		}
		two.telemetry(8)
		n.until("it is in the log", func() bool {
			got, _, _ := log.state()
			return len(got) == 2 && got[1].epoch == future+2
		})
		mu.Lock()
		if !shared && len(online) > 0 {
			online = online[1:] // on a shared log a device is not spoken of before the log was asked
		}
		if !slices.Equal(online, []uint64{future + 1, future + 2}) {
			t.Errorf("presence told of epochs %v", online)
		}
		mu.Unlock()
		log.commit(-1)
	}
}

// TestTakeover_Group: memberships end with their connection.
func TestTakeover_Group(t *testing.T) {
	t.Parallel()
	n := startNode(t, &memLog{}, gateway.Config{})
	old := n.connect("mover")
	old.send(message{Type: "join", Group: "red"})
	old.telemetry(1)
	old.wantAck(1)
	n.connect("mover")
	if _, devices, err := n.gateway.Broadcast("default", "red", "blink", nil); err != nil || devices != 0 {
		t.Errorf("%d devices, error %v", devices, err)
	}
}

// TestAdmit_Panic: wherever the worker that admits a device panics, the device
// is sent away and no session stays behind; the next try succeeds.
func TestAdmit_Panic(t *testing.T) {
	t.Parallel()
	for name, inject := range map[string]func(*memLog, *memStore, func(string)){
		"while it is identified":       func(_ *memLog, s *memStore, p func(string)) { s.ask = p },
		"while its sequence is looked": func(l *memLog, _ *memStore, p func(string)) { l.lastSeq = p },
		"while it gets its commands":   func(_ *memLog, s *memStore, p func(string)) { s.take = p },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log, store := &memLog{}, &memStore{}
			first := make(chan struct{}, 1)
			first <- struct{}{}
			inject(log, store, func(string) {
				select {
				case <-first:
					panic("injected")
				default:
				}
			})
			n := startNodeOver(t, log, store, gateway.Config{})
			_ = store.StoreCommand(t.Context(), "default", "unlucky", "id", []byte(`{"name":"x"}`), 0)
			d, status, err := n.dialWith("device=unlucky", nil)
			switch {
			case err != nil && status != 500:
				t.Errorf("status %d: %v", status, err)
			case err == nil:
				d.wantClosed(1011)
			}
			n.until("nobody is online", func() bool { return n.gateway.Stats().Online == 0 })
			n.connect("unlucky").telemetry(1)
			n.until("it is in the log", func() bool { return len(n.log.of("unlucky")) == 1 })
		})
	}
}
