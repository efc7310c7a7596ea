package api_test

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"edgeloop/admin/api"
)

func TestDuration_JSON(t *testing.T) {
	for text, want := range map[string]time.Duration{`"5s"`: 5 * time.Second, `"1h30m0s"`: 90 * time.Minute, `"0s"`: 0, `"-1ms"`: -time.Millisecond} {
		var d api.Duration
		if err := json.Unmarshal([]byte(text), &d); err != nil || time.Duration(d) != want {
			t.Errorf("%s is %s, %v", text, d, err)
		}
		if out, err := json.Marshal(d); err != nil || string(out) != text {
			t.Errorf("%s is written %s, %v", text, out, err)
		}
	}
	for _, text := range []string{`5`, `"5"`, `""`, `null`, `"1 s"`, `{}`, `"99999999h"`} {
		if err := new(api.Duration).UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}

func TestLimit_JSON(t *testing.T) {
	for _, l := range []api.Limit{
		{Name: "window", Kind: api.LimitCount, Value: 64, Min: 1, Max: math.MaxInt64, Changeable: true, Help: "h"},
		{Name: "heartbeat", Kind: api.LimitDuration, Value: 30e9, Min: 1e6, Max: 3600e9},
		{Name: "rate", Kind: api.LimitRate},
	} {
		text, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		var got api.Limit
		if err := json.Unmarshal(text, &got); err != nil || got != l {
			t.Errorf("%s came back as %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{`{"kind":"count","value":"64"}`, `{"kind":"duration","value":30,"min":"1s","max":"1s"}`, `[]`} {
		if err := json.Unmarshal([]byte(text), new(api.Limit)); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}

func TestTailQuery_SetSince(t *testing.T) {
	now := time.Date(2026, 11, 21, 6, 0, 0, 0, time.UTC)
	for since, want := range map[string]api.TailQuery{
		"all":                  {All: true},
		"10m":                  {Since: now.Add(-10 * time.Minute)},
		"0s":                   {Since: now},
		"2026-11-20T06:00:00Z": {Since: now.Add(-24 * time.Hour)},
	} {
		var q api.TailQuery
		if err := q.SetSince(since, now); err != nil || q != want {
			t.Errorf("%q is %+v, %v", since, q, err)
		}
	}
	for _, since := range []string{"", "ALL", "-1s", "tomorrow", "2026-11-20", "1795234836"} {
		var field *api.FieldError
		if err := new(api.TailQuery).SetSince(since, now); !errors.As(err, &field) || field.Field != "since" {
			t.Errorf("%q: %v", since, err)
		}
	}
}
