package e2e_test

import (
	"encoding/json"
	"fmt"
	"testing"
)

// The thinnest whole path: a device says hello, sends three readings, and by
// the time the last is acknowledged the log, read by another process, has them.
func TestTelemetry_AcknowledgedIsInTheLog(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		d, welcome := startClient(t, lib).connect(n, "d1")
		if welcome.num("epoch") == 0 || welcome.num("upto") != 0 || welcome.num("heartbeat_s") != 30 || welcome.num("window") == 0 {
			t.Errorf("welcome %v", welcome)
		}
		for seq := uint64(1); seq <= 3; seq++ {
			d.send(message{"type": "telemetry", "seq": seq, "topic": "temp", "ts": 1795234836000 + seq, "data": message{"c": 20.5 + float64(seq)}})
		}
		d.wantAck(3)

		log := n.tail("--device", "d1")
		if len(log) != 3 {
			t.Fatalf("the log has %d records, want 3: %+v", len(log), log)
		}
		for i, r := range log {
			seq := uint64(i) + 1
			want := record{
				Tenant: "default", Device: "d1", Epoch: welcome.num("epoch"), Seq: seq, Type: "telemetry", Topic: "temp",
				TS: int64(1795234836000 + seq), Received: r.Received, Data: json.RawMessage(fmt.Sprintf(`{"c":%g}`, 20.5+float64(seq))),
			}
			if fmt.Sprintf("%+v %s", r, r.Data) != fmt.Sprintf("%+v %s", want, want.Data) {
				t.Errorf("record %d is\n%+v %s, want\n%+v %s", i, r, r.Data, want, want.Data)
			}
			if r.Received == 0 {
				t.Errorf("record %d has no time of arrival", i)
			}
		}
		d.close()
		n.stop()
	})
}

// Every upward type is logged; one without a sequence is neither acknowledged
// nor counted, and one with a sequence behind it proves that it arrived.
func TestTelemetry_TypesAndNoSequence(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		d, _ := startClient(t, lib).connect(n, "d1")
		d.send(message{"type": "heartbeat"})
		d.wantMessage("heartbeat") // it is answered by one
		d.send(message{"type": "telemetry", "data": 1})
		d.send(message{"type": "status", "seq": 1, "data": message{"on": true}})
		d.send(message{"type": "alert", "seq": 2, "topic": "door", "data": "open"})
		d.send(message{"type": "telemetry", "data": nil})
		d.send(message{"type": "telemetry", "seq": 3, "data": []int{1, 2, 3}})
		d.wantAck(3)

		var got []string
		for _, r := range n.tail() {
			got = append(got, fmt.Sprintf("%s %d %s %s", r.Type, r.Seq, r.Topic, r.Data))
		}
		want := []string{`telemetry 0  1`, `status 1  {"on":true}`, `alert 2 door "open"`, `telemetry 0  null`, `telemetry 3  [1,2,3]`}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the log has\n%q, want\n%q", got, want)
		}
	})
}

// A device that did not hear its ack sends again. The second copy is
// acknowledged, so that the device can forget it, but not logged.
func TestTelemetry_DuplicatesAreLoggedOnce(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		c := startClient(t, lib)
		d, _ := c.connect(n, "d1")
		d.send(message{"type": "telemetry", "seq": 1, "data": "first"})
		d.wantAck(1)
		d.send(message{"type": "telemetry", "seq": 1, "data": "again"})
		d.wantAck(1)
		d.send(message{"type": "telemetry", "seq": 2, "data": "second"})
		d.wantAck(2)
		d.close()

		d, welcome := c.connect(n, "d1")
		if welcome.num("upto") != 2 {
			t.Errorf("welcome %v after 2 was acknowledged", welcome)
		}
		d.send(message{"type": "telemetry", "seq": 2, "data": "again"})
		d.send(message{"type": "telemetry", "seq": 3, "data": "third"})
		for upto := uint64(0); upto < 3; {
			upto = d.wantMessage("ack").num("upto")
		}

		var got []string
		for _, r := range n.tail() {
			got = append(got, fmt.Sprintf("%d %s", r.Seq, r.Data))
		}
		if want := []string{`1 "first"`, `2 "second"`, `3 "third"`}; fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("the log has %q, want %q", got, want)
		}
	})
}

// Resume is exact across a restart of the node too: the log is the only memory.
func TestTelemetry_ResumeAfterRestart(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		c := startClient(t, lib)
		d, first := c.connect(n, "d1")
		for seq := 1; seq <= 40; seq++ {
			d.send(message{"type": "telemetry", "seq": seq, "data": seq})
		}
		d.wantAck(40)
		// The last message has no sequence, so the highest one is not in the
		// last record.
		d.send(message{"type": "telemetry", "data": "no sequence"})
		d.close()
		n.stop()

		n.boot()
		_, welcome := c.connect(n, "d1")
		if welcome.num("upto") != 40 {
			t.Errorf("welcome %v after a restart, 40 was acknowledged", welcome)
		}
		if welcome.num("epoch") <= first.num("epoch") {
			t.Errorf("epoch %d after a restart, %d before", welcome.num("epoch"), first.num("epoch"))
		}
	})
}

// Tenants do not see each other: the same name is two devices.
func TestTelemetry_TenantsAreApart(t *testing.T) {
	withEachLibrary(t, func(t *testing.T, lib string) {
		n := start(t)
		c := startClient(t, lib)
		red, _ := c.connectAs(n, n.token("d1", "--tenant", "red"))
		blue, _ := c.connectAs(n, n.token("d1", "--tenant", "blue"))
		red.send(message{"type": "telemetry", "seq": 1, "data": "red"})
		red.wantAck(1)
		blue.send(message{"type": "telemetry", "seq": 1, "data": "blue"})
		blue.wantAck(1)
		for _, tenant := range []string{"red", "blue"} {
			log := n.tail("--tenant", tenant, "--device", "d1")
			if len(log) != 1 || log[0].Tenant != tenant || string(log[0].Data) != fmt.Sprintf("%q", tenant) {
				t.Errorf("tail --tenant %s printed %+v", tenant, log)
			}
		}
		red.close()
		blue.close()
	})
}
