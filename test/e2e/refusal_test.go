package e2e_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// upgrade is what a WebSocket client sends, for curl, which is none.
var upgrade = map[string]string{
	"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}

// shown is a response as `curl --include` shows it.
type shown struct {
	status int
	header http.Header
	close  bool
	body   string
}

// curl fetches a URL.
func curl(t *testing.T, args ...string) shown {
	t.Helper()
	_, err := exec.LookPath("curl")
	need(t, "curl", err == nil)
	out, err := exec.Command("curl", append([]string{"--silent", "--show-error", "--include", "--http1.1", "--max-time", "120"}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("curl %q: %v\n%s", args, err, out)
	}
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(out)), nil)
	if err != nil {
		t.Fatalf("curl printed %q: %v", out, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatalf("curl printed %q: %v", out, err)
	}
	return shown{resp.StatusCode, resp.Header, resp.Close, strings.TrimSpace(string(body))}
}

// curlUpgrade asks for a WebSocket, with some headers more, less ("Name:") or
// different.
func curlUpgrade(t *testing.T, url string, change map[string]string, args ...string) shown {
	t.Helper()
	for k, v := range upgrade {
		if other, changed := change[k]; changed {
			v = other
		}
		args = append(args, "--header", strings.TrimSpace(k+": "+v))
	}
	for k, v := range change {
		if _, known := upgrade[k]; !known {
			args = append(args, "--header", k+": "+v)
		}
	}
	return curl(t, append(args, url)...)
}

// A refused handshake is a proper HTTP response that says what would help.
func TestRefusal_Status(t *testing.T) {
	t.Parallel()
	n := start(t)
	url := "http://" + n.listen + "/v1/device"
	auth := "Bearer " + n.token("d1")

	for name, c := range map[string]struct {
		status int
		header string // must be present
		value  string
		ask    func(t *testing.T) shown
	}{
		"no token": {401, "WWW-Authenticate", "Bearer", func(t *testing.T) shown {
			return curlUpgrade(t, url, nil)
		}},
		"a token that is none": {401, "WWW-Authenticate", "Bearer", func(t *testing.T) shown {
			return curlUpgrade(t, url, map[string]string{"Authorization": "Bearer nonsense"})
		}},
		"a token with a changed signature": {401, "WWW-Authenticate", "Bearer", func(t *testing.T) shown {
			return curlUpgrade(t, url, map[string]string{"Authorization": auth[:len(auth)-4] + "AAAA"})
		}},
		"a token in the query that is none": {401, "", "", func(t *testing.T) shown {
			return curlUpgrade(t, url+"?token=nonsense", nil)
		}},
		"another path": {404, "", "", func(t *testing.T) shown {
			return curlUpgrade(t, "http://"+n.listen+"/v1/devices", map[string]string{"Authorization": auth})
		}},
		"POST": {405, "Allow", "GET", func(t *testing.T) shown {
			return curlUpgrade(t, url, map[string]string{"Authorization": auth}, "--request", "POST")
		}},
		"no upgrade at all": {426, "Upgrade", "websocket", func(t *testing.T) shown {
			return curl(t, "--header", "Authorization: "+auth, url)
		}},
		"version 8": {426, "Sec-WebSocket-Version", "13", func(t *testing.T) shown {
			return curlUpgrade(t, url, map[string]string{"Authorization": auth, "Sec-WebSocket-Version": "8"})
		}},
		"a key that is too short": {400, "", "", func(t *testing.T) shown {
			return curlUpgrade(t, url, map[string]string{"Authorization": auth, "Sec-WebSocket-Key": "c2hvcnQ="})
		}},
		"no key": {400, "", "", func(t *testing.T) shown {
			return curlUpgrade(t, url, map[string]string{"Authorization": auth, "Sec-WebSocket-Key": ""})
		}},
		"two keys": {400, "", "", func(t *testing.T) shown {
			return curlUpgrade(t, url, map[string]string{"Authorization": auth}, "--header", "sec-websocket-key: AQIDBAUGBwgJCgsMDQ4PEA==")
		}},
		"a body": {400, "", "", func(t *testing.T) shown {
			return curlUpgrade(t, url, map[string]string{"Authorization": auth}, "--request", "GET", "--data", "body")
		}},
		"headers beyond 8 KiB": {431, "", "", func(t *testing.T) shown {
			return curlUpgrade(t, url, map[string]string{"Authorization": auth, "X-Long": strings.Repeat("x", 9000)})
		}},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.ask(t)
			if got.status != c.status {
				t.Fatalf("%+v, want status %d", got, c.status)
			}
			if c.header != "" && !strings.Contains(got.header.Get(c.header), c.value) {
				t.Errorf("%s: %q, want %q", c.header, got.header.Get(c.header), c.value)
			}
			if !got.close || got.body == "" {
				t.Errorf("%+v: want Connection: close and a reason", got)
			}
		})
	}
	n.stop()
}

// Bytes that are no HTTP are answered 400, and a client that says nothing at
// all is hung up on when --handshake-timeout has passed.
func TestRefusal_NotHTTP(t *testing.T) {
	t.Parallel()
	n := start(t, "--handshake-timeout=5s")
	for name, bytes := range map[string]string{
		"TLS":         "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
		"a bare LF":   "GET /v1/device HTTP/1.1\nHost: x\n\n",
		"HTTP/1.0":    "GET /v1/device HTTP/1.0\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		"no host":     "GET /v1/device HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		"space: host": "GET /v1/device HTTP/1.1\r\nHost : x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := dialTCP(t, n.listen)
			c.say(bytes)
			resp, err := http.ReadResponse(c.r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode/100 != 4 && resp.StatusCode != http.StatusHTTPVersionNotSupported {
				t.Errorf("status %s", resp.Status)
			}
			_, _ = io.ReadAll(resp.Body)
			resp.Body.Close()
			c.wantHangup()
		})
	}
	for name, bytes := range map[string]string{"silence": "", "half a request": "GET /v1/device HTTP/1.1\r\nHost"} {
		t.Run(name, func(t *testing.T) {
			c := dialTCP(t, n.listen)
			c.say(bytes)
			began := time.Now()
			_, err := io.ReadAll(c.r)
			if took := time.Since(began); took > time.Minute || took < 500*time.Millisecond {
				t.Errorf("hung up after %s (%v), want about five seconds", took, err)
			}
		})
	}
	n.stop()
}
