package sink_test

import (
	"encoding/json"
	"testing"

	"edgeloop/sink"
)

// What leaves is the record as it is stored, and its position; as a CloudEvent it has all
// that one must have.
func TestRecord_Forms(t *testing.T) {
	r := sink.Record{
		Log: "abc", Position: 7, Tenant: "t", Device: `d"1`, Epoch: 1<<63 + 1, Seq: 3, Type: "alert", Topic: "a/b",
		Received: 1795234836123, Data: json.RawMessage(`{"c":1}`),
		Line: []byte(`{"tenant":"t","device":"d\"1","epoch":9223372036854775809,"seq":3,"type":"alert","data":{"c":1}}`),
	}
	if got, want := string(r.AppendJSON(nil)), `{"tenant":"t","device":"d\"1","epoch":9223372036854775809,"seq":3,"type":"alert","data":{"c":1},"position":"abc-7"}`; got != want {
		t.Errorf("%s", got)
	}
	if got, want := string(r.AppendCloudEvent(nil)), `{"specversion":"1.0","id":"abc-7","source":"/edgeloop/t/d\"1","type":"edgeloop.alert","subject":"a/b","time":"2026-11-21T04:20:36.123Z","datacontenttype":"application/json","tenant":"t","device":"d\"1","epoch":"9223372036854775809","sequence":"3","data":{"c":1}}`; got != want {
		t.Errorf("%s", got)
	}
	r.Encoding, r.Data, r.Seq, r.TS = "base64", json.RawMessage(`"AAE="`), 0, 1
	if got, want := string(r.AppendCloudEvent(nil)), `{"specversion":"1.0","id":"abc-7","source":"/edgeloop/t/d\"1","type":"edgeloop.alert","subject":"a/b","time":"1970-01-01T00:00:00.001Z","datacontenttype":"application/json","tenant":"t","device":"d\"1","epoch":"9223372036854775809","data_base64":"AAE="}`; got != want {
		t.Errorf("%s", got)
	}
}
