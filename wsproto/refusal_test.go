package wsproto_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"edgeloop/wsproto"
)

// response is how net/http reads b, which must be one response and no more.
func response(t tb, b []byte) (status int, header http.Header, body string) {
	t.Helper()
	r := bufio.NewReader(bytes.NewReader(b))
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil || r.Buffered() != 0 {
		t.Errorf("%q: err %v, %d bytes too many", b, err, r.Buffered())
	}
	return resp.StatusCode, resp.Header, string(all)
}

// Each refusal is an HTTP response that an ordinary client understands.
func TestRefusal_Append(t *testing.T) {
	for _, tt := range []struct {
		refusal wsproto.Refusal
		header  map[string]string
	}{
		{wsproto.Refusal{Status: 400, Reason: "no"}, nil},
		{wsproto.Refusal{Status: 401, Reason: "token expired"}, map[string]string{"WWW-Authenticate": "Bearer"}},
		{wsproto.Refusal{Status: 403, Reason: "banned"}, nil},
		{wsproto.Refusal{Status: 404, Reason: "no such path"}, nil},
		{wsproto.Refusal{Status: 405, Reason: "GET only"}, map[string]string{"Allow": "GET"}},
		{wsproto.Refusal{Status: 426, Reason: "upgrade"}, map[string]string{ // [RFC6455 4.4]
			"Sec-WebSocket-Version": "13", "Upgrade": "websocket", "Connection": "close, Upgrade",
		}},
		{wsproto.Refusal{Status: 429, Reason: "slow down", RetryAfter: 1500 * time.Millisecond}, map[string]string{"Retry-After": "2"}},
		{wsproto.Refusal{Status: 503, Reason: "full", RetryAfter: time.Minute}, map[string]string{"Retry-After": "60"}},
		{wsproto.Refusal{Status: 505, Reason: "HTTP/1.1 is required"}, nil},
	} {
		t.Run(tt.refusal.Error(), func(t *testing.T) {
			out, ok := bytes.CutPrefix(tt.refusal.Append([]byte("before")), []byte("before"))
			if !ok {
				t.Fatal("what was in dst is gone")
			}
			status, header, body := response(t, out)
			if body != tt.refusal.Reason+"\n" {
				t.Errorf("body %q", body)
			}
			if status != tt.refusal.Status || !bytes.Contains(out, []byte("\r\nConnection: close")) {
				t.Errorf("got %q", out)
			}
			for _, name := range []string{"Allow", "Retry-After", "Sec-Websocket-Version", "Upgrade", "Www-Authenticate"} {
				want := ""
				for k, v := range tt.header {
					if http.CanonicalHeaderKey(k) == name {
						want = v
					}
				}
				if got := header.Get(name); got != want {
					t.Errorf("%s: %q, want %q", name, got, want)
				}
			}
		})
	}
}
