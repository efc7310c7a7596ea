package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"edgeloop/admin/api"
	"edgeloop/admin/client"
)

// answer is what a node does with a request: a status, a body to read, or an error.
type answer func(ctx context.Context) (status int, body io.Reader, err error)

// script is a node that answers each request for a tail in its turn, and the last
// way for ever; no network, so that a minute costs nothing.
type script struct {
	answers []answer
	asked   []string
	retries []string
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	turn := s.answers[min(len(s.asked), len(s.answers)-1)]
	s.asked = append(s.asked, r.URL.RawQuery)
	status, body, err := turn(r.Context())
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: status, Body: io.NopCloser(body), Header: http.Header{"Content-Type": {api.ProblemType}}}, nil
}

func (s *script) client() *client.Client {
	return &client.Client{
		URL: "http://node", HTTP: &http.Client{Transport: s},
		OnRetry: func(err error) { s.retries = append(s.retries, err.Error()) },
	}
}

// says is a stream of events that breaks off after the last.
func says(text string) answer {
	return func(context.Context) (int, io.Reader, error) { return 200, strings.NewReader(text), nil }
}

// status is a refusal.
func status(code int) answer {
	return func(context.Context) (int, io.Reader, error) { return code, strings.NewReader("no"), nil }
}

// overloaded is the refusal of a node that has too much to do.
func overloaded(context.Context) (int, io.Reader, error) {
	return 503, strings.NewReader(`{"type":"urn:edgeloop:problem:overloaded","title":"too much","status":503,"detail":"too much to do"}`), nil
}

func refused(context.Context) (int, io.Reader, error) {
	return 0, nil, errors.New("connection refused")
}

// silent is a stream on which nothing comes after the parts; each of them goes out
// when the one before was read.
func silent(parts ...string) answer {
	return func(ctx context.Context) (int, io.Reader, error) {
		r, w := io.Pipe()
		go func() {
			for _, part := range parts {
				if ctx.Err() == nil {
					_, _ = io.WriteString(w, part)
				}
			}
			<-ctx.Done()
			_ = w.CloseWithError(ctx.Err())
		}()
		return 200, r, nil
	}
}

func rec(id int) string { return fmt.Sprintf("event: record\nid: %d\ndata: r%d\n\n", id, id) }

func end(cause api.TailCause) string {
	return fmt.Sprintf("event: end\ndata: {\"end\":%q,\"detail\":\"x\"}\n\n", cause)
}

// A tail that is followed goes on behind the last whole record, whatever ended its
// stream, unless that was for good.
func TestTail_GoesOn(t *testing.T) {
	list := func(as ...answer) []answer { return as }
	for name, tt := range map[string]struct {
		query   api.TailQuery
		answers []answer
		records string
		asked   string
		err     string
		retries int
	}{
		"cut between records":                  {api.TailQuery{All: true, Follow: true}, list(says(rec(1)+rec(4)), says(rec(5)+end(api.TailDone))), "r1 r4 r5", "follow=true&since=all after=4&follow=true", "", 1},
		"cut in a record":                      {api.TailQuery{All: true, Follow: true}, list(says(rec(1)+"event: record\nid: 2\ndata: r"), says(rec(2)+end(api.TailDone))), "r1 r2", "follow=true&since=all after=1&follow=true", "", 1},
		"cut behind a record that did not end": {api.TailQuery{All: true, Follow: true}, list(says(rec(1)+"event: record\nid: 2\ndata: r2\n"), says(rec(2)+end(api.TailDone))), "r1 r2", "follow=true&since=all after=1&follow=true", "", 1},
		"the node stops":                       {api.TailQuery{After: 3, Follow: true}, list(says(rec(4)+end(api.TailStopping)), refused, refused, says(rec(5)+end(api.TailDone))), "r4 r5", "after=3&follow=true after=4&follow=true after=4&follow=true after=4&follow=true", "", 1},
		"dropped":                              {api.TailQuery{Follow: true}, list(says("id: 7\n\n"+rec(8)+end(api.TailDropped)), says(end(api.TailDone))), "r8", "follow=true after=8&follow=true", "", 1},
		"nothing came":                         {api.TailQuery{Follow: true, Tenant: "t"}, list(says("id: 7\n\n: heartbeat\n\n"), says(end(api.TailDone))), "", "follow=true&tenant=t after=7&follow=true&tenant=t", "", 1},
		"nothing is there":                     {api.TailQuery{Follow: true}, list(says("id: 0\n\n"), says(end(api.TailDone))), "", "follow=true follow=true&since=all", "", 1},
		"no position":                          {api.TailQuery{All: true, Follow: true}, list(says(": heartbeat\n\n"), says(end(api.TailDone))), "", "follow=true&since=all follow=true&since=all", "", 1},
		"nothing more is said":                 {api.TailQuery{All: true, Follow: true}, list(silent(rec(1)), says(end(api.TailDone))), "r1", "follow=true&since=all after=1&follow=true", "", 1},
		"busy for a moment":                    {api.TailQuery{All: true, Follow: true}, list(says(rec(1)), status(503), says(end(api.TailDone))), "r1", "follow=true&since=all after=1&follow=true after=1&follow=true", "", 1},
		"twice":                                {api.TailQuery{All: true, Follow: true}, list(says(rec(1)), says(rec(2)), says(rec(3)+end(api.TailDone))), "r1 r2 r3", "follow=true&since=all after=1&follow=true after=2&follow=true", "", 2},
		"failed is for good":                   {api.TailQuery{All: true, Follow: true}, list(says(rec(1) + end(api.TailFailed))), "r1", "follow=true&since=all", "the node ended the stream: failed: x", 0},
		"refused is for good":                  {api.TailQuery{All: true, Follow: true}, list(says(rec(1)), status(401)), "r1", "follow=true&since=all after=1&follow=true", "Unauthorized", 1},
		"it never began":                       {api.TailQuery{All: true, Follow: true}, list(refused), "", "follow=true&since=all", "connection refused", 0},
		"busy from the beginning":              {api.TailQuery{All: true, Follow: true}, list(status(503)), "", "follow=true&since=all", "Service Unavailable", 0},
		"too much to do from the beginning":    {api.TailQuery{All: true}, list(overloaded, overloaded, says(rec(1)+end(api.TailDone))), "r1", "follow=false&since=all follow=false&since=all follow=false&since=all", "", 2},
		"who does not follow":                  {api.TailQuery{All: true}, list(says(rec(1))), "r1", "follow=false&since=all", "unexpected EOF", 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: tt.answers}
				var got []string
				began := time.Now()
				err := s.client().Tail(t.Context(), tt.query, func(line []byte) error {
					got = append(got, string(line))
					return nil
				})
				if strings.Join(got, " ") != tt.records || strings.Join(s.asked, " ") != tt.asked || len(s.retries) != tt.retries {
					t.Errorf("gave %v, asked %v, told of %q", got, s.asked, s.retries)
				}
				if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("ended with %v, want %q", err, tt.err)
				}
				if took := time.Since(began); took > 70*time.Second {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

// A node that does not come back is given up after a minute; a reader that leaves meanwhile
// does not wait; and a callback may take longer than a stream may be silent.
func TestTail_Patience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{says(rec(1)), refused}}
		began := time.Now()
		err := s.client().Tail(t.Context(), api.TailQuery{Follow: true}, func([]byte) error { return nil })
		if took := time.Since(began); err == nil || !strings.Contains(err.Error(), "refused") || took < time.Minute || took > 63*time.Second {
			t.Errorf("ended after %s with %v", took, err)
		}
		if n := len(s.asked); n < 20 || n > 50 || len(s.retries) != 1 {
			t.Errorf("asked %d times, told %q", n, s.retries)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{says(rec(1)), refused}}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		began := time.Now()
		err := s.client().Tail(ctx, api.TailQuery{Follow: true}, func([]byte) error { return nil })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 10*time.Second {
			t.Errorf("ended after %s with %v", time.Since(began), err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: []answer{silent(rec(1), rec(2), end(api.TailDone))}}
		var got []string
		err := s.client().Tail(t.Context(), api.TailQuery{Follow: true}, func(line []byte) error {
			got = append(got, string(line))
			<-time.After(time.Hour)
			return nil
		})
		if err != nil || !slices.Equal(got, []string{"r1", "r2"}) || len(s.asked) != 1 {
			t.Errorf("gave %v, %v, asked %v", got, err, s.asked)
		}
	})
}
