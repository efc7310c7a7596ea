package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"edgeloop/admin"
	"edgeloop/admin/api"
	"edgeloop/admin/client"
	"edgeloop/backbone"
)

// openLog opens a log in dir.
func openLog(t *testing.T, dir string) *backbone.Backbone {
	t.Helper()
	b, err := backbone.Open(t.Context(), backbone.Config{DataDir: dir, Node: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeLog(t, b) })
	return b
}

func closeLog(t *testing.T, b *backbone.Backbone) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		t.Error(err)
	}
}

// write appends records of two devices, numbered from..to, and waits for the disk.
func write(t *testing.T, b *backbone.Backbone, from, to int) {
	t.Helper()
	for n := from; n <= to; n++ {
		r := backbone.Record{Tenant: "acme", Device: []string{"even", "odd"}[n%2], Type: "telemetry", Data: fmt.Append(nil, n)}
		if err := b.Append([]backbone.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := b.Flush(ctx); err != nil {
		t.Fatal(err)
	}
}

// number is what write gave a record.
func number(line string) string {
	_, data, _ := strings.Cut(line, `"data":`)
	return strings.TrimSuffix(data, "}")
}

// upTo lists from..to as number does.
func upTo(from, to int) (list []string) {
	for n := from; n <= to; n++ {
		list = append(list, fmt.Sprint(n))
	}
	return list
}

// events reads server-sent events as a browser does, up to count records, and
// returns them with the last id that it saw. It then leaves.
func events(t *testing.T, c *client.Client, query, lastID string, count int) (numbers []string, id string) {
	t.Helper()
	ctx, leave := context.WithTimeout(t.Context(), patience)
	defer leave()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL+"/v1/tail"+query, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.Token)
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	res, err := c.HTTP.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for s := bufio.NewScanner(res.Body); len(numbers) < count && s.Scan(); {
		field, value, _ := strings.Cut(s.Text(), ": ")
		switch {
		case field == "id":
			id = value
		case field == "data" && strings.HasPrefix(value, `{"end"`):
			return numbers, id
		case field == "data":
			numbers = append(numbers, number(value))
		}
	}
	return numbers, id
}

// A browser reads a part of the log, loses the connection, and comes back with the
// last id: it misses nothing and sees nothing twice, also when the log was opened
// anew and grew meanwhile.
func TestTail_GoesOn(t *testing.T) {
	dir := t.TempDir()
	b := openLog(t, dir)
	c := apiOver(t, func(parts *admin.Backends) { parts.Log = adminLog{b} }, nil)
	write(t, b, 1, 10)
	first, id := events(t, c, "?since=all", "", 4)
	write(t, b, 11, 15)
	second, id := events(t, c, "?since=all", id, 8)
	closeLog(t, b)
	b = openLog(t, dir)
	c = apiOver(t, func(parts *admin.Backends) { parts.Log = adminLog{b} }, nil)
	write(t, b, 16, 20)
	third, _ := events(t, c, "?since=all&follow=false", id, 100)
	if all := slices.Concat(first, second, third); !slices.Equal(all, upTo(1, 20)) {
		t.Errorf("read %v, then %v, then %v", first, second, third)
	}
	if odd, _ := events(t, c, "?device=odd&follow=false&after="+id, "", 100); !slices.Equal(odd, []string{"13", "15", "17", "19"}) {
		t.Errorf("of one device behind record 12: %v", odd)
	}
}

// cutter breaks responses off after so many bytes, as a bad network does.
type cutter struct {
	http.ResponseWriter
	left int
	then func() // if set, called once, after the first write
}

func (w *cutter) Write(p []byte) (int, error) {
	if w.left -= len(p); w.left < 0 {
		_, _ = w.ResponseWriter.Write(p[:len(p)/2])
		_ = http.NewResponseController(w.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	n, err := w.ResponseWriter.Write(p)
	if w.then != nil {
		w.then()
		w.then = nil
	}
	return n, err
}

// Unwrap is for http.ResponseController.
func (w *cutter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// `edgeloop tail` comes back by itself, however often and wherever the stream is
// cut: it prints each record once.
func TestTail_ClientComesBack(t *testing.T) {
	b := openLog(t, t.TempDir())
	var streams atomic.Int64
	c := apiOver(t, func(parts *admin.Backends) { parts.Log = adminLog{b} }, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(&cutter{ResponseWriter: w, left: 300 + int(streams.Add(1))*37}, r)
		})
	})
	const n = 200
	write(t, b, 1, n/2)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var got []string
	err := c.Tail(ctx, api.TailQuery{All: true, Follow: true}, func(line []byte) error {
		got = append(got, number(string(line)))
		switch len(got) {
		case n / 4:
			write(t, b, n/2+1, n)
		case n:
			return io.EOF
		}
		return nil
	})
	if !errors.Is(err, io.EOF) || !slices.Equal(got, upTo(1, n)) || streams.Load() < 5 {
		t.Errorf("%d streams gave %v, %v", streams.Load(), got, err)
	}
}

// A tail of what is new loses nothing either when its stream breaks before the
// first record.
func TestTail_ClientComesBackToWhatIsNew(t *testing.T) {
	b := openLog(t, t.TempDir())
	write(t, b, 1, 3)
	var streams atomic.Int64
	c := apiOver(t, func(parts *admin.Backends) { parts.Log = adminLog{b} }, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if streams.Add(1) == 1 { // room for the position, and no record
				w = &cutter{ResponseWriter: w, left: 20, then: func() { write(t, b, 4, 5) }}
			}
			h.ServeHTTP(w, r)
		})
	})
	var got []string
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := c.Tail(ctx, api.TailQuery{Follow: true}, func(line []byte) error {
		if got = append(got, number(string(line))); len(got) == 2 {
			return io.EOF
		}
		return nil
	})
	if !errors.Is(err, io.EOF) || !slices.Equal(got, []string{"4", "5"}) || streams.Load() != 2 {
		t.Errorf("%d streams gave %v, %v", streams.Load(), got, err)
	}
}
