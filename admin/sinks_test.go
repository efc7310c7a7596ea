package admin_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"edgeloop/admin/api"
)

// What the node knows of its sinks is shown; what is asked of one reaches it, with the
// member that it needs, and the answer is how it stands.
func TestSinks(t *testing.T) {
	f := newFixture(t)
	f.call("GET", "/v1/sinks", "").want(200)
	lag, at := uint64(7), time.Date(2026, 11, 28, 6, 0, 0, 0, time.UTC)
	f.sinks.SinksFunc = func() []api.Sink {
		return []api.Sink{
			{Name: "lake", Type: "webhook", State: "waiting", Breaker: "open", Since: at, Place: "x-1", Next: "x-2", LagRecords: &lag, Oldest: &at, LastError: "down", LastErrorAt: &at, RetryAt: &at},
			{Name: "pond", Type: "file", State: "running", Breaker: "closed", Since: at},
		}
	}
	var all api.Sinks
	if f.call("GET", "/v1/sinks", "").want(200).into(&all); len(all.Sinks) != 2 || *all.Sinks[0].LagRecords != 7 {
		t.Errorf("%+v", all)
	}
	f.call("GET", "/v1/sinks/sea", "").problem(404, "not-found")
	f.call("POST", "/v1/sinks/sea/pause", "").problem(404, "not-found")
	var asked []api.SinkChange
	f.sinks.ChangeFunc = func(_ context.Context, c api.SinkChange) error {
		asked = append(asked, c)
		return nil
	}
	for _, c := range []struct {
		body string
		want api.SinkChange
	}{
		{"", api.SinkChange{Name: "lake", Action: api.SinkPause}},
		{"", api.SinkChange{Name: "lake", Action: api.SinkResume}},
		{"", api.SinkChange{Name: "lake", Action: api.SinkResend}},
		{`{"to":"newest"}`, api.SinkChange{Name: "lake", Action: api.SinkRewind, To: "newest"}},
		{`{"position":"x-2"}`, api.SinkChange{Name: "lake", Action: api.SinkSkip, Position: "x-2"}},
	} {
		asked = nil
		var s api.Sink
		f.call("POST", "/v1/sinks/lake/"+string(c.want.Action), c.body).want(200).into(&s)
		if len(asked) != 1 || asked[0] != c.want || s.Name != "lake" {
			t.Errorf("%s: asked %+v, answered %+v", c.want.Action, asked, s)
		}
	}
	f.call("POST", "/v1/sinks/lake/rewind", "").refused("to")
	f.call("POST", "/v1/sinks/lake/skip", `{"position":""}`).refused("position")
}

// Dead letters come in pages, and one is removed by its number.
func TestSinks_DeadLetters(t *testing.T) {
	f := newFixture(t)
	f.call("GET", "/v1/sinks/lake/dead-letters", "").problem(404, "not-found")
	f.sinks.DeadLettersFunc = func(_ context.Context, sink string, after uint64, limit int) (api.DeadLetterPage, error) {
		if sink != "lake" || after != 4 || limit != 1 {
			return api.DeadLetterPage{}, nil
		}
		return api.DeadLetterPage{DeadLetters: []api.DeadLetter{{Number: 5, Position: "x-9", Reason: "422", Record: json.RawMessage(`{"tenant":"t"}`)}}, Next: "5"}, nil
	}
	var page api.DeadLetterPage
	f.call("GET", "/v1/sinks/lake/dead-letters?after=4&limit=1", "").want(200).into(&page)
	if len(page.DeadLetters) != 1 || page.DeadLetters[0].Number != 5 || page.Next != "5" {
		t.Errorf("%+v", page)
	}
	f.call("GET", "/v1/sinks/lake/dead-letters?after=x", "").refused("after")
	f.call("GET", "/v1/sinks/lake/dead-letters", "").want(200)
	f.sinks.RemoveFunc = func(_ context.Context, sink string, number uint64) (bool, error) { return number == 5, nil }
	f.call("DELETE", "/v1/sinks/lake/dead-letters/5", "").want(204)
	f.call("DELETE", "/v1/sinks/lake/dead-letters/6", "").problem(404, "not-found")
	f.call("DELETE", "/v1/sinks/lake/dead-letters/x", "").refused("number")
}

// Many are removed, or sent again, by whose they are and what was said of them. A call that
// names nothing removes nothing: that all are meant has to be said.
func TestSinks_DeadLettersInBulk(t *testing.T) {
	f := newFixture(t)
	f.call("DELETE", "/v1/sinks/lake/dead-letters?all=true", "").problem(404, "not-found")
	var meant []api.LetterFilter
	f.sinks.RemoveAllFunc = func(_ context.Context, sink string, which api.LetterFilter) (int, error) {
		meant = append(meant, which)
		return 7, nil
	}
	f.sinks.SinksFunc = func() []api.Sink { return []api.Sink{{Name: "lake", State: "running", Breaker: "closed"}} }
	f.sinks.ChangeFunc = func(_ context.Context, c api.SinkChange) error {
		meant = append(meant, c.Letters)
		return nil
	}
	for _, query := range []string{"", "?all=false", "?all=true&device=d1"} {
		f.call("DELETE", "/v1/sinks/lake/dead-letters"+query, "").refused("all")
	}
	f.call("DELETE", "/v1/sinks/lake/dead-letters?devices=d1", "").problem(400, "bad-request")
	var out api.DeadLettersRemoved
	f.call("DELETE", "/v1/sinks/lake/dead-letters?all=true", "").want(200).into(&out)
	f.call("DELETE", "/v1/sinks/lake/dead-letters?device=d1&tenant=acme", "").want(200)
	f.call("POST", "/v1/sinks/lake/resend?reason=0x87", "").want(200)
	f.call("POST", "/v1/sinks/lake/pause?reason=0x87", "").problem(400, "bad-request")
	if want := []api.LetterFilter{{}, {Tenant: "acme", Device: "d1"}, {Reason: "0x87"}}; !slices.Equal(meant, want) || out.Removed != 7 {
		t.Errorf("meant were %+v, removed %d", meant, out.Removed)
	}
}
