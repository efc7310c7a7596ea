package uplog_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"edgeloop/backbone"
	"edgeloop/backbone/reader"
	"edgeloop/backbone/uplog"
)

func TestRecord_Line(t *testing.T) {
	tests := map[string]struct {
		r    backbone.Record
		want string
	}{
		"everything": {
			backbone.Record{
				Tenant: "acme", Device: "d.1", Epoch: 3, Seq: 7, High: 6, Type: "telemetry", Topic: []byte("temp/in"),
				TS: 1795234836000, Received: 1795234836001, Data: []byte(`{"c":21.5}`),
			},
			`{"tenant":"acme","device":"d.1","epoch":3,"seq":7,"type":"telemetry","topic":"temp/in","ts":1795234836000,"received":1795234836001,"data":{"c":21.5}}`,
		},
		"no sequence keeps the highest known": {
			backbone.Record{Tenant: "acme", Device: "d", High: 6, Type: "alert", Data: []byte(`1`)},
			`{"tenant":"acme","device":"d","epoch":0,"high":6,"type":"alert","received":0,"data":1}`,
		},
		"a session is kept before the type": {
			backbone.Record{Tenant: "acme", Device: "d", High: 6, Session: "e60 c 5 7-9", Type: "telemetry", Data: []byte(`1`)},
			`{"tenant":"acme","device":"d","epoch":0,"high":6,"session":"e60 c 5 7-9","type":"telemetry","received":0,"data":1}`,
		},
		"an alert keeps its level": {
			backbone.Record{Tenant: "acme", Device: "d", Seq: 9, Type: "alert", Topic: []byte("door"), Level: []byte(`high"`), TS: 5, Data: []byte(`1`)},
			`{"tenant":"acme","device":"d","epoch":0,"seq":9,"type":"alert","topic":"door","level":"high\"","ts":5,"received":0,"data":1}`,
		},
		"properties are before the data": {
			backbone.Record{Tenant: "acme", Device: "d", Type: "telemetry", Properties: []byte(`{"user":[["a","b"]]}`), Data: []byte(`1`)},
			`{"tenant":"acme","device":"d","epoch":0,"type":"telemetry","received":0,"properties":{"user":[["a","b"]]},"data":1}`,
		},
		"no data": {
			backbone.Record{Tenant: "acme", Device: "d", Type: "status"},
			`{"tenant":"acme","device":"d","epoch":0,"type":"status","received":0,"data":null}`,
		},
		"bytes that are not JSON": {
			backbone.Record{Tenant: "acme", Device: "d", Type: "telemetry", Data: []byte("a\x00b"), Base64: true},
			`{"tenant":"acme","device":"d","epoch":0,"type":"telemetry","received":0,"data":"YQBi","encoding":"base64"}`,
		},
		"no bytes": {
			backbone.Record{Tenant: "acme", Device: "d", Type: "telemetry", Base64: true},
			`{"tenant":"acme","device":"d","epoch":0,"type":"telemetry","received":0,"data":"","encoding":"base64"}`,
		},
		"line breaks between tokens": {
			backbone.Record{Tenant: "acme", Device: "d", Type: "telemetry", Data: []byte("{\n\"a\":\r\n1}")},
			`{"tenant":"acme","device":"d","epoch":0,"type":"telemetry","received":0,"data":{ "a":  1}}`,
		},
		"names and topics that need quoting": {
			backbone.Record{Tenant: `a"\`, Device: "d\x01é", Type: "telemetry", Topic: []byte("x\xffy"), Data: []byte(`1`)},
			`{"tenant":"a\"\\","device":"d\u0001é","epoch":0,"type":"telemetry","topic":"x` + "\ufffd" + `y","received":0,"data":1}`,
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, string(uplog.Line(&tt.r))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLastIn_LooksNoFurtherThanTheType(t *testing.T) {
	r := backbone.Record{Tenant: `{"seq":9`, Device: "d", Type: "telemetry", Data: []byte(`{"seq":10,"high":11}`)}
	for _, want := range []uint64{0, 1, 1<<53 - 1} {
		r.Seq, r.Epoch = want, want+1
		if got, err := uplog.LastIn(uplog.Line(&r)); err != nil || got.Seq != want || got.Epoch != want+1 {
			t.Errorf("LastIn = %+v, %v; want %d", got, err, want)
		}
	}
	if _, err := uplog.LastIn([]byte(`17`)); err == nil {
		t.Error("17 was taken for a record")
	}
}

func FuzzRecord(f *testing.F) {
	f.Add("acme", "d.1", "temp", []byte(`{"c":21.5}`), uint64(7), true)
	f.Add("a\"", "\xff\x00", "\n", []byte("{\n}"), uint64(0), false)
	f.Fuzz(func(t *testing.T, tenant, device, topic string, data []byte, seq uint64, raw bool) {
		if !raw && !json.Valid(data) {
			t.Skip("must be JSON unless it is to be base64")
		}
		r := backbone.Record{Tenant: tenant, Device: device, Topic: []byte(topic), Type: "telemetry", Seq: seq, Data: data, Base64: raw}
		line := uplog.Line(&r)
		var got struct {
			Tenant, Device, Topic, Encoding string
			Seq                             uint64
			Data                            json.RawMessage
		}
		if err := json.Unmarshal(line, &got); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if bytes.ContainsAny(line, "\n\r") {
			t.Errorf("%q is more than a line", line)
		}
		want := func(s string) string { return string([]rune(s)) } // each bad byte becomes U+FFFD
		if got.Tenant != want(tenant) || got.Device != want(device) || got.Topic != want(topic) || got.Seq != seq {
			t.Errorf("%q gives %+v", line, got)
		}
		if last, err := uplog.LastIn(line); err != nil || last.Seq != seq {
			t.Errorf("LastIn(%q) = %+v, %v", line, last, err)
		}
		if got.Encoding == "base64" {
			var s string
			if err := json.Unmarshal(got.Data, &s); err != nil {
				t.Fatal(err)
			}
			if back, err := base64.StdEncoding.DecodeString(s); err != nil || !bytes.Equal(back, data) {
				t.Errorf("%q gives %q, %v", line, back, err)
			}
		}
	})
}

// A record of the type session is told from one of a device that is called so.
func TestRecord_IsSession(t *testing.T) {
	for _, r := range []backbone.Record{
		{Tenant: "acme", Device: "d", Type: "session", Session: "e1"}, {Tenant: "acme", Device: `","type":"telemetry"`, Type: "session"},
	} {
		if line := uplog.Line(&r); !reader.IsSession(line) {
			t.Errorf("%s is none", line)
		}
	}
	for _, r := range []backbone.Record{
		{Tenant: "acme", Device: "session", Type: "telemetry", Topic: []byte(`,"type":"session"`), Data: []byte(`{"a":1,"type":"session"}`)},
		{Tenant: `,"type":"session"`, Device: `d","type":"session","x":"`, Session: "e1", Type: "alert"},
	} {
		if line := uplog.Line(&r); reader.IsSession(line) {
			t.Errorf("%s is one", line)
		}
	}
}
