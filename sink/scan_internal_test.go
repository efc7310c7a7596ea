package sink

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
)

// lines are what a log may have, and what it should not.
var lines = []string{
	`{"tenant":"default","device":"d1","epoch":1795234836000123,"seq":7,"type":"telemetry","topic":"a/b","ts":-5,"received":1795234836001,"data":{"c":[1,{"x":"}\"]"}],"d":null}}`,
	`{"tenant":"t","device":"d\"1","epoch":9223372036854775809,"seq":3,"type":"alert","level":"high","received":1,"data":1}`,
	`{"tenant":"t","device":"grün","epoch":1,"type":"status","received":1,"data":"AAE=","encoding":"base64"}`,
	`{"tenant":"t","device":"d","epoch":1,"type":"telemetry","received":1,"properties":{"content_type":"a","user":[["k","v"]]},"data":1}`,
	`{"tenant":"t","device":"d","epoch":1,"type":"telemetry","topic":"a","received":1,"qos":1,"retain":true,"properties":{"content_type":"a"},"data":2}`,
	`{"tenant":"t","device":"d","epoch":1,"type":"connected","received":1,"data":{},"more":{"a":[]}}`,
	`{"TENANT":"t","Device":"d","epoch":1.0,"seq":null,"data":[]}`,
	`{"tenant":null,"device":7}`, ` {"tenant" : "t" } `, `{}`, `[]`, `null`, `"x"`, `7`, ``, `{"tenant":"t"`, `{"seq":18446744073709551616}`, `{"seq":-1}`,
	`{"data":true,"data":"\u0041\\"}`, `{"tenant":"a","tenant":"b"}`, `{"data":{"a":1} ,"seq":2}`,
}

// Whatever a line has, scan makes of it what json.Unmarshal makes, or says that it is not sure;
// and of lines as the node writes them it is.
func TestScan_AsUnmarshal(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // repeatable
	sure, before := 0, Record{}
	check := func(line []byte) {
		var got, want Record
		if !scan(line, &before, &got) {
			return
		}
		before = got
		sure++
		if err := json.Unmarshal(line, &want); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%s: %+v, json makes of it %+v, %v", line, got, want, err)
		}
	}
	const parts = "\"\\{}[],: 0-1e.tdnull\x80\xc3"
	for _, text := range lines {
		check([]byte(text))
		for range 3000 {
			line := []byte(text)
			for range 1 + rng.IntN(3) {
				if len(line) == 0 {
					break
				}
				switch at := rng.IntN(len(line)); rng.IntN(3) {
				case 0:
					line[at] = parts[rng.IntN(len(parts))]
				case 1:
					line = append(line[:at], line[at+1:]...)
				default:
					line = append(line[:at], append([]byte{parts[rng.IntN(len(parts))]}, line[at:]...)...)
				}
			}
			check(line)
		}
	}
	if sure < 500 {
		t.Errorf("of all lines it was sure of %d", sure)
	}
	if r := new(Record); !scan([]byte(lines[0]), &Record{}, r) || r.TS != -5 || r.Topic != "a/b" {
		t.Errorf("of a line as the node writes them it is not sure: %+v", r)
	}
	if r := new(Record); !scan([]byte(lines[4]), &Record{}, r) || r.Properties == nil || string(r.Data) != "2" {
		t.Errorf("of a line of MQTT with RETAIN it is not sure: %+v", r)
	}
}

func BenchmarkParse(b *testing.B) {
	line := []byte(lines[0])
	before := &Record{Tenant: "default", Type: "telemetry", Topic: "a/b"}
	b.ReportAllocs()
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		if _, err := parse("log", 7, line, before, &tracing{}); err != nil {
			b.Fatal(err)
		}
	}
}
