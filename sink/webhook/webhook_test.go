package webhook_test

import (
	"bytes"
	"compress/gzip"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"edgeloop/internal/testkit"
	"edgeloop/sink"
	"edgeloop/sink/keys"
	"edgeloop/sink/sinktest"
	"edgeloop/sink/webhook"
)

// server is a receiver.
type server struct {
	addr string
	http *http.Server

	mu sync.Mutex
	// Guarded by mu.
	ids      []string
	one, all bool
	full     bool
	hang     chan struct{} // nil: it answers
}

func (s *server) up(t *testing.T) {
	t.Helper()
	if s.addr == "" {
		s.addr = testkit.FreeAddr(t) // it is down in between
	}
	ln, err := net.Listen("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	s.http = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.http.Serve(ln) }() // until it is closed
}

func (s *server) down() { _ = s.http.Close() } // whatever is open

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	hang := s.hang
	s.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-r.Context().Done():
			return
		}
	}
	if r.Header.Get("Authorization") != "Bearer right" {
		http.Error(w, "who are you", http.StatusUnauthorized)
		return
	}
	var body io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		body = z
	}
	b, err := io.ReadAll(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	var list []struct{ Position, ID, Topic, Subject string }
	if r.Header.Get("Content-Type") == "application/x-ndjson" {
		b = []byte("[" + strings.ReplaceAll(strings.TrimSuffix(string(b), "\n"), "\n", ",") + "]")
	}
	if err := json.Unmarshal(b, &list); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.full {
		http.Error(w, "no room", http.StatusInsufficientStorage)
		return
	}
	for _, one := range list {
		if s.all || s.one && one.Topic+one.Subject == "poison" {
			http.Error(w, "no\x1b[31m such\nthing", http.StatusUnprocessableEntity)
			return
		}
	}
	for _, one := range list {
		s.ids = append(s.ids, one.Position+one.ID)
	}
}

func TestWebhook_IsADestination(t *testing.T) {
	for _, format := range []string{"ndjson", "json", "cloudevents"} {
		t.Run(format, func(t *testing.T) {
			sinktest.Run(t, func(t *testing.T) *sinktest.Harness {
				s := &server{}
				s.up(t)
				t.Cleanup(s.down)
				bearer := put(t, "right")
				values := map[string]any{"url": "http://" + s.addr + "/in", "format": format, "gzip": format == "json", "bearer_file": bearer}
				return &sinktest.Harness{
					New: func(t *testing.T) sink.Destination { return sinktest.New(t, webhook.New, values) },
					Received: func(*testing.T) []string {
						s.mu.Lock()
						defer s.mu.Unlock()
						return append([]string(nil), s.ids...)
					},
					Down: func(*testing.T) { s.down() }, Up: s.up,
					Hang: func(*testing.T) func() {
						hang := make(chan struct{})
						s.mu.Lock()
						s.hang = hang
						s.mu.Unlock()
						return func() {
							s.mu.Lock()
							s.hang = nil
							s.mu.Unlock()
							close(hang)
						}
					},
					Full: func(_ *testing.T, full bool) {
						s.mu.Lock()
						defer s.mu.Unlock()
						s.full = full
					},
					Refuse: func(_ *testing.T, one, all bool) {
						s.mu.Lock()
						defer s.mu.Unlock()
						s.one, s.all = one, all
					},
					Credentials: func(t *testing.T, right bool) {
						text := map[bool]string{true: "right", false: "wrong"}[right]
						if err := os.WriteFile(bearer, []byte(text+"\n"), 0o600); err != nil {
							t.Fatal(err)
						}
					},
				}
			})
		})
	}
}

func put(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// receive has one POST answered by a handler.
func receive(t *testing.T, values map[string]any, h http.HandlerFunc) (int, error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = srv.Serve(ln) }() // until it is closed
	t.Cleanup(func() { _ = srv.Close() })
	if values["url"] == nil {
		values["url"] = "http://" + ln.Addr().String() + "/in"
	} else {
		_, port, _ := net.SplitHostPort(ln.Addr().String())
		values["url"] = strings.ReplaceAll(values["url"].(string), "PORT", port)
	}
	return sinktest.Send(t, sinktest.New(t, webhook.New, values), sinktest.Records(1, 4))
}

// Which answer is what kind of failure: of the moment unless the receiver says that it is
// the records; a redirect is not followed.
func TestWebhook_WhatAnswersMean(t *testing.T) {
	followed := false
	for status, refuses := range map[int]bool{
		301: false, 307: false, 308: false, 400: true, 401: false, 403: false, 404: false, 408: false, 409: false,
		413: true, 422: true, 425: false, 429: false, 500: false, 502: false, 503: false, 504: false,
	} {
		n, err := receive(t, map[string]any{}, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/elsewhere" {
				followed = true
				return
			}
			w.Header().Set("Location", "/elsewhere")
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(status)
		})
		var no *sink.Refusal
		var later *sink.Later
		switch {
		case n != 0 || err == nil:
			t.Errorf("%d: %d confirmed, %v", status, n, err)
		case errors.As(err, &no) != refuses || refuses && no.Records != 4:
			t.Errorf("%d: %v (%T)", status, err, err)
		case status >= 400 && !refuses && (!errors.As(err, &later) || later.After != 7*time.Second):
			t.Errorf("%d: Retry-After is not heeded: %v", status, err)
		}
	}
	if followed {
		t.Error("a redirect was followed")
	}
	for _, status := range []int{200, 201, 202, 204} {
		if n, err := receive(t, map[string]any{}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }); n != 4 || err != nil {
			t.Errorf("%d: %d confirmed, %v", status, n, err)
		}
	}
}

// The signature is over identity, time and body as sent, as Standard Webhooks has it.
func TestWebhook_Signs(t *testing.T) {
	key := []byte("0123456789abcdef")
	for name, secret := range map[string]string{"text": string(key), "base64": "whsec_" + base64.StdEncoding.EncodeToString(key)} {
		values := map[string]any{"secret_file": put(t, secret), "gzip": true, "headers": map[string]any{"X-Team": "edge"}}
		if _, err := receive(t, values, func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body) // a short one fails below
			mac := hmac.New(sha256.New, key)
			mac.Write([]byte(r.Header.Get("webhook-id") + "." + r.Header.Get("webhook-timestamp") + "."))
			mac.Write(body)
			if r.Header.Get("webhook-signature") != "v1,"+base64.StdEncoding.EncodeToString(mac.Sum(nil)) || r.Header.Get("X-Team") != "edge" ||
				r.Header.Get("webhook-id") != sinktest.Log+"-1-4" || !bytes.HasPrefix(body, []byte("\x1f\x8b")) {
				w.WriteHeader(http.StatusUnauthorized)
			}
		}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A name must not lead to private addresses that nobody has named.
func TestWebhook_PrivateAddresses(t *testing.T) {
	ok := func(http.ResponseWriter, *http.Request) {}
	for _, c := range []struct {
		host, address, private string
		allowed                bool
	}{
		{"example.org", "93.184.216.34:443", "", true},
		{"example.org", "[2606:2800:21f::1]:443", "", true},
		{"example.org", "127.0.0.1:80", "", false},
		{"example.org", "[::1]:80", "", false},
		{"example.org", "[::ffff:10.0.0.1]:80", "", false},
		{"example.org", "[64:ff9b::a9fe:a9fe]:80", "", false},
		{"example.org", "[64:ff9b::10.0.0.1]:80", "10.0.0.0/8", true},
		{"example.org", "[64:ff9b::93.184.216.34]:80", "", true},
		{"example.org", "10.1.2.3:80", "", false},
		{"example.org", "10.1.2.3:80", "10.0.0.0/8", true},
		{"example.org", "192.168.1.1:80", "10.0.0.0/8", false},
		{"example.org", "169.254.169.254:80", "", false},
		{"example.org", "100.64.0.1:80", "", false},
		{"example.org", "0.0.0.0:80", "", false},
		{"example.org", "[fd00::1]:80", "", false},
		{"example.org", "[fe80::1%eth0]:80", "", false},
		{"10.1.2.3", "10.1.2.3:80", "", true},
		{"10.1.2.3", "10.1.2.4:80", "", false},
		{"localhost", "127.0.0.1:80", "", true},
		{"localhost", "10.0.0.1:80", "", false},
	} {
		values := map[string]any{}
		if c.private != "" {
			values["private"] = c.private
		}
		if err := webhook.Allowed(keys.New("sinks.test", values), c.host, c.address); (err == nil) != c.allowed {
			t.Errorf("%s leads to %s, named %q: %v", c.host, c.address, c.private, err)
		}
	}
	for _, values := range []map[string]any{{}, {"url": "http://localhost:PORT/in"}} {
		if n, err := receive(t, values, ok); n != 4 || err != nil {
			t.Errorf("%v: %d confirmed, %v", values, n, err)
		}
	}
}

// What cannot work is refused before anything is sent, and no secret is shown.
func TestWebhook_RefusedKeys(t *testing.T) {
	for _, c := range []struct {
		values map[string]any
		say    []string
	}{
		{map[string]any{}, []string{"sinks.test.url", "missing", "https://"}},
		{map[string]any{"url": "ftp://x/y"}, []string{"sinks.test.url", "http://host:port"}},
		{map[string]any{"url": "https://user:s3cret@x/y"}, []string{"sinks.test.url", "bearer_file"}},
		{map[string]any{"url": "https://x/y", "secret": "s3cret"}, []string{"sinks.test.secret", "secret_file", "secret_env"}},
		{map[string]any{"url": "https://x/y", "secret_file": "/nonexistent"}, []string{"sinks.test.secret_file", "/nonexistent"}},
		{map[string]any{"url": "https://x/y", "bearer_env": "NOT_THERE"}, []string{"sinks.test.bearer_env", "NOT_THERE"}},
		{map[string]any{"url": "https://x/y", "format": "xml"}, []string{"sinks.test.format", "ndjson, json, cloudevents"}},
		{map[string]any{"url": "https://x/y", "gzip": "yes"}, []string{"sinks.test.gzip", "true"}},
		{map[string]any{"url": "https://x/y", "gzipp": true}, []string{"sinks.test.gzipp", "known are", "gzip"}},
		{map[string]any{"url": "https://x/y", "headers": map[string]any{"Content-Type": "a"}}, []string{"sinks.test.headers", "Content-Type"}},
		{map[string]any{"url": "https://x/y", "private": "10"}, []string{"sinks.test.private", "10.0.0.0/8"}},
		{map[string]any{"url": "https://x/y", "ca_file": "/nonexistent"}, []string{"sinks.test.ca_file", "PEM"}},
	} {
		m := keys.New("sinks.test", c.values)
		webhook.New(m)
		err := m.Err()
		for _, word := range c.say {
			if err == nil || !strings.Contains(err.Error(), word) || strings.Contains(err.Error(), "s3cret") {
				t.Errorf("%v: it says %v, without %q", c.values, err, word)
			}
		}
	}
}

// With fields, bodies have objects of them; a CloudEvent has members of its own.
func TestWebhook_Fields(t *testing.T) {
	want := make([]string, 4)
	for i := range want {
		want[i] = sinktest.FieldsText(uint64(i) + 1)
	}
	for format, body := range map[string]string{"ndjson": strings.Join(want, "\n") + "\n", "json": "[" + strings.Join(want, ",") + "]"} {
		n, err := receive(t, map[string]any{"format": format, "fields": sinktest.Fields()}, func(w http.ResponseWriter, r *http.Request) {
			if got, err := io.ReadAll(r.Body); err != nil || string(got) != body {
				http.Error(w, string(got), http.StatusBadRequest)
			}
		})
		if n != 4 || err != nil {
			t.Errorf("%s: %d confirmed, %v", format, n, err)
		}
	}
	m := keys.New("sinks.test", map[string]any{"url": "http://127.0.0.1", "format": "cloudevents", "fields": sinktest.Fields()})
	webhook.New(m)
	if err := m.Err(); err == nil || !strings.Contains(err.Error(), "format: cloudevents") {
		t.Errorf("it says %v", err)
	}
}
