package admin_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"edgeloop/admin"
	"edgeloop/admin/api"
)

// ndjson asks for lines instead of events.
const ndjson = "Accept: application/x-ndjson"

// records is a log that holds n records, and ends.
func records(n int) func(context.Context, api.TailQuery, func(uint64, []byte) error) error {
	return func(_ context.Context, _ api.TailQuery, fn func(uint64, []byte) error) error {
		line := make([]byte, 0, 64) // one buffer for all, as the contract allows
		for i := range n {
			line = fmt.Appendf(line[:0], `{"tenant":"default","device":"d1","seq":%d}`, i+1)
			if err := fn(uint64(100+i), line); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestTail_Events(t *testing.T) {
	f := newFixture(t)
	f.log.TailFunc = records(2)
	r := f.call("GET", "/v1/tail?since=all&follow=false", "").want(http.StatusOK)
	want := "event: record\nid: 100\ndata: {\"tenant\":\"default\",\"device\":\"d1\",\"seq\":1}\n\n" +
		"event: record\nid: 101\ndata: {\"tenant\":\"default\",\"device\":\"d1\",\"seq\":2}\n\n" +
		"event: end\ndata: {\"end\":\"done\",\"detail\":\"the last record has been sent\"}\n\n"
	if string(r.body) != want {
		t.Errorf("the stream is\n%s\nwant\n%s", r.body, want)
	}
}

func TestTail_Lines(t *testing.T) {
	f := newFixture(t)
	f.log.TailFunc = records(2)
	r := f.call("GET", "/v1/tail?since=all&follow=false", "", ndjson).want(http.StatusOK)
	want := "{\"tenant\":\"default\",\"device\":\"d1\",\"seq\":1}\n{\"tenant\":\"default\",\"device\":\"d1\",\"seq\":2}\n"
	if string(r.body) != want {
		t.Errorf("the stream is\n%s\nwant\n%s", r.body, want)
	}
}

// A position that the log does not know makes no id.
func TestTail_NoPosition(t *testing.T) {
	f := newFixture(t)
	f.log.TailFunc = func(_ context.Context, _ api.TailQuery, fn func(uint64, []byte) error) error {
		return fn(0, []byte(`{}`))
	}
	r := f.call("GET", "/v1/tail?follow=false", "").want(http.StatusOK)
	if !strings.HasPrefix(string(r.body), "event: record\ndata: {}\n\n") {
		t.Errorf("the stream is %s", r.body)
	}
}

// A log far larger than the buffer comes through whole and in order: the log
// is read at the reader's pace.
func TestTail_LargerThanTheBuffer(t *testing.T) {
	f := newFixture(t, func(c *admin.Config) { c.TailBuffer = 200 })
	const n = 20000
	f.log.TailFunc = records(n)
	r := f.call("GET", "/v1/tail?since=all&follow=false", "", ndjson).want(http.StatusOK)
	lines := strings.Split(strings.TrimSuffix(string(r.body), "\n"), "\n")
	if len(lines) != n {
		t.Fatalf("%d lines, want %d", len(lines), n)
	}
	for i, l := range lines {
		if !strings.HasSuffix(l, fmt.Sprintf(`"seq":%d}`, i+1)) {
			t.Fatalf("line %d is %s", i+1, l)
		}
	}
}

// One record beyond the buffer's size does not block for ever.
func TestTail_RecordLargerThanTheBuffer(t *testing.T) {
	f := newFixture(t, func(c *admin.Config) { c.TailBuffer = 10 })
	large := `{"data":"` + strings.Repeat("x", 1<<20) + `"}`
	f.log.TailFunc = func(_ context.Context, _ api.TailQuery, fn func(uint64, []byte) error) error {
		return errors.Join(fn(1, []byte(large)), fn(2, []byte(large)))
	}
	r := f.call("GET", "/v1/tail?follow=false", "", ndjson).want(http.StatusOK)
	if string(r.body) != large+"\n"+large+"\n" {
		t.Errorf("%d bytes came through", len(r.body))
	}
}

func TestTail_Query(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newFakes(t).serve()
		defer stop()
		now := time.Now()
		at := time.Date(2026, 1, 31, 12, 0, 0, 5e8, time.UTC)
		for query, want := range map[string]api.TailQuery{
			"":                                     {Follow: true},
			"?follow=true":                         {Follow: true},
			"?follow=false":                        {All: true},
			"?since=all":                           {All: true, Follow: true},
			"?since=10m&follow=false":              {Since: now.Add(-10 * time.Minute)},
			"?since=2026-01-31T12:00:00.5Z":        {Since: at, Follow: true},
			"?since=2026-01-31T13:00:00.5%2B01:00": {Since: at, Follow: true},
			"?tenant=t&device=d":                   {Tenant: "t", Device: "d", Follow: true},
			"?after=7":                             {After: 7, Follow: true},
			"?after=7&since=all&follow=false":      {After: 7},
			"?after=18446744073709551615&since=1m": {After: 1<<64 - 1, Follow: true},
			"?after=0&since=1m":                    {All: true, Follow: true},
		} {
			var got api.TailQuery
			b.log.TailFunc = func(_ context.Context, q api.TailQuery, _ func(uint64, []byte) error) error { got = q; return nil }
			res := b.open(t.Context(), "/v1/tail"+query)
			_, _ = io.Copy(io.Discard, res.Body)
			res.Body.Close()
			if !got.Since.Equal(want.Since) {
				t.Errorf("%s starts at %s, want %s", query, got.Since, want.Since)
			}
			got.Since, want.Since = time.Time{}, time.Time{}
			if got != want {
				t.Errorf("%s asks for %+v, want %+v", query, got, want)
			}
		}
	})
}

func TestTail_Refused(t *testing.T) {
	f := newFixture(t)
	for query, field := range map[string]string{
		"since=": "since", "since=yesterday": "since", "since=-5m": "since", "since=5": "since",
		"follow=yes": "follow", "follow=": "follow",
		"after=": "after", "after=-1": "after", "after=x": "after", "after=18446744073709551616": "after",
		"after=1&since=x": "since",
	} {
		f.call("GET", "/v1/tail?"+query, "").refused(field)
	}
	f.call("GET", "/v1/tail", "", "Last-Event-ID: x").refused("Last-Event-ID")
	f.call("HEAD", "/v1/tail", "").want(http.StatusOK)
}

// A browser that lost its connection names the last position it saw, and asks with
// the query that it began with.
func TestTail_LastEventID(t *testing.T) {
	f := newFixture(t)
	var got api.TailQuery
	f.log.TailFunc = func(_ context.Context, q api.TailQuery, _ func(uint64, []byte) error) error { got = q; return nil }
	for query, want := range map[string]uint64{"": 101, "?since=all": 101, "?since=1h": 101, "?after=5": 101} {
		f.call("GET", "/v1/tail"+query, "", "Last-Event-ID: 101").want(http.StatusOK)
		if got != (api.TailQuery{After: want, Follow: true}) {
			t.Errorf("%s asks for %+v", query, got)
		}
	}
	f.call("GET", "/v1/tail?since=1h", "", "Last-Event-ID: 0").want(http.StatusOK)
	if got != (api.TailQuery{All: true, Follow: true}) {
		t.Errorf("behind the beginning it asks for %+v", got)
	}
}

// A position names its log, on the way out and back in.
func TestTail_PositionNamesItsLog(t *testing.T) {
	f := newFixture(t)
	f.log.ID = "k3v9x2qd"
	var got api.TailQuery
	f.log.TailFunc = func(_ context.Context, q api.TailQuery, fn func(uint64, []byte) error) error {
		got = q
		return fn(7, []byte(`{}`))
	}
	r := f.call("GET", "/v1/tail?after=k3v9x2qd-6", "").want(http.StatusOK)
	if got != (api.TailQuery{After: 6, Log: "k3v9x2qd", Follow: true}) || !strings.HasPrefix(string(r.body), "event: record\nid: k3v9x2qd-7\ndata: {}\n\n") {
		t.Errorf("asks for %+v, gives %s", got, r.body)
	}
	for _, bad := range []string{"-7", "K-7", "k-", "k--7", "7-k", "k3v9x2qd7x"} {
		f.call("GET", "/v1/tail", "", "Last-Event-ID: "+bad).refused("Last-Event-ID")
	}
}

// A stream of what is new tells where it begins before anything comes: as an id
// alone, which browsers keep without an event; lines hold records only.
func TestTail_Begin(t *testing.T) {
	f := newFixture(t)
	f.log.TailFunc = func(_ context.Context, _ api.TailQuery, fn func(uint64, []byte) error) error {
		return errors.Join(fn(0, nil), fn(1, []byte(`{}`)))
	}
	r := f.call("GET", "/v1/tail", "").want(http.StatusOK)
	if !strings.HasPrefix(string(r.body), "id: 0\n\nevent: record\nid: 1\ndata: {}\n\n") {
		t.Errorf("the stream is %s", r.body)
	}
	if r := f.call("GET", "/v1/tail", "", ndjson).want(http.StatusOK); string(r.body) != "{}\n" {
		t.Errorf("the lines are %q", r.body)
	}
}

// The log fails while it is read: the records so far arrive, then the end says so.
func TestTail_Failed(t *testing.T) {
	f := newFixture(t)
	f.log.TailFunc = func(ctx context.Context, q api.TailQuery, fn func(uint64, []byte) error) error {
		return errors.Join(records(1)(ctx, q, fn), errors.New("secret path"))
	}
	for _, accept := range []string{ndjson, "Accept: text/event-stream"} {
		r := f.call("GET", "/v1/tail?follow=false", "", accept).want(http.StatusOK)
		if got := r.header.Get("X-Accel-Buffering"); got != "no" {
			t.Errorf("a proxy may hold the stream back: X-Accel-Buffering is %q", got)
		}
		body := string(r.body)
		if !strings.Contains(body, `"seq":1`) || !strings.Contains(body, `{"end":"failed","detail":`) || strings.Contains(body, "secret") {
			t.Errorf("the stream is %s", body)
		}
	}
}

// A stream on which nothing happens says that it is there.
func TestTail_Heartbeat(t *testing.T) {
	for accept, beat := range map[string]string{ndjson: "\n", "Accept: */*": ": heartbeat\n\n"} {
		synctest.Test(t, func(t *testing.T) {
			b, stop := newFakes(t).serve()
			defer stop()
			ctx, leave := context.WithCancel(t.Context())
			defer leave()
			res := b.open(ctx, "/v1/tail", accept)
			defer res.Body.Close()
			start := time.Now()
			for i := 1; i <= 3; i++ {
				got := make([]byte, len(beat))
				if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != beat {
					t.Fatalf("read %q, %v, want %q", got, err, beat)
				}
				if took := time.Since(start); took != time.Duration(i)*15*time.Second {
					t.Errorf("heartbeat %d after %s", i, took)
				}
			}
		})
	}
}

// When the reader leaves, the reading of the log ends and the place is free.
func TestTail_ReaderLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newFakes(t, func(c *admin.Config) { c.MaxTails = 1 }).serve()
		defer stop()
		for range 3 {
			ctx, leave := context.WithCancel(t.Context())
			res := b.open(ctx, "/v1/tail")
			if res.StatusCode != http.StatusOK {
				t.Fatalf("status %d", res.StatusCode)
			}
			leave()
			res.Body.Close()
			synctest.Wait()
		}
	})
}

func TestTail_TooMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newFakes(t, func(c *admin.Config) { c.MaxTails = 2 }).serve()
		defer stop()
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		for i := range 3 {
			res := b.open(ctx, "/v1/tail")
			defer res.Body.Close()
			if want := []int{200, 200, 503}[i]; res.StatusCode != want {
				t.Errorf("tail %d: status %d, want %d", i, res.StatusCode, want)
			}
		}
	})
}

// The node stops: a reader learns it from the last event, and the stop does
// not wait for readers to leave.
func TestTail_Stopping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, stop := newFakes(t).serve()
		res := b.open(t.Context(), "/v1/tail")
		defer res.Body.Close()
		start := time.Now()
		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			stop()
		}()
		rest, err := io.ReadAll(res.Body)
		if want := "event: end\ndata: {\"end\":\"stopping\",\"detail\":\"the node stops\"}\n\n"; err != nil || string(rest) != want {
			t.Errorf("the reader got %q, %v", rest, err)
		}
		<-stopped
		if took := time.Since(start); took > time.Second {
			t.Errorf("the stop took %s", took)
		}
	})
}

// lastLine reads a stream of lines to its end.
func lastLine(t *testing.T, r io.Reader) (last string, n int) {
	t.Helper()
	for lines := bufio.NewScanner(r); lines.Scan(); n++ {
		last = lines.Text()
	}
	return last, n
}
