package wsproto_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"edgeloop/wsproto"
)

// hello is the handshake of RFC 6455 section 1.3, less what is optional.
const hello = "GET /v1/device HTTP/1.1\r\n" +
	"Host: node.example:8080\r\n" +
	"Upgrade: websocket\r\n" +
	"Connection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Sec-WebSocket-Version: 13\r\n" +
	"\r\n"

// with returns hello with more header lines.
func with(lines ...string) string {
	return strings.TrimSuffix(hello, "\r\n") + strings.Join(append(lines, "", ""), "\r\n")
}

// without returns hello less the fields of that name.
func without(name string) string {
	lines := strings.SplitAfter(hello, "\r\n")
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, name+":") }), "")
}

func replace(from, to string) string { return strings.Replace(hello, from, to, 1) }

// shake runs a whole handshake as a server does.
func shake(cfg *wsproto.HandshakeConfig, in string) (*wsproto.Handshake, error) {
	h := new(wsproto.Handshake)
	n, err := wsproto.FindHeaderBlock([]byte(in), cfg)
	if err != nil {
		return h, err
	}
	if n == 0 {
		return h, errors.New("header block is not complete")
	}
	return h, h.Parse(cfg, []byte(in[:n]))
}

// A handshake that is in order is answered as the RFC's own example is.
// [RFC6455 4.2.2]
func TestHandshake_Accepted(t *testing.T) {
	h, err := shake(&wsproto.HandshakeConfig{}, hello)
	if err != nil {
		t.Fatal(err)
	}
	want := "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
	if got := string(h.AppendResponse([]byte("x"))); got != "x"+want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestHandshake_Fields(t *testing.T) {
	in := strings.Replace(with("Origin: https://app.example", "authorization:\tBearer a.b.c ", "X-Forwarded-For: 192.0.2.1", "X-Empty:"),
		"/v1/device", "/v1/device?token=a%20b&x=?", 1)
	h, err := shake(&wsproto.HandshakeConfig{}, in)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []struct {
		name string
		got  []byte
		want string
	}{
		{"Path", h.Path, "/v1/device"},
		{"Query", h.Query, "token=a%20b&x=?"},
		{"Host", h.Host, "node.example:8080"},
		{"Origin", h.Origin, "https://app.example"},
		{"Authorization", h.Authorization, "Bearer a.b.c"},
		{"another header", h.HeaderField("x-forwarded-FOR"), "192.0.2.1"},
	} {
		if string(f.got) != f.want {
			t.Errorf("%s: got %q, want %q", f.name, f.got, f.want)
		}
	}
	if v := h.HeaderField("X-Empty"); v == nil || len(v) != 0 {
		t.Errorf("empty header: %#v", v)
	}
	if v := h.HeaderField("X-Missing"); v != nil {
		t.Errorf("missing header: %q", v)
	}
}

// Parse sets every field, so that nothing of one device reaches the next.
func TestHandshake_Reuse(t *testing.T) {
	cfg := &wsproto.HandshakeConfig{Protocols: []string{"a"}, Compression: true}
	var h wsproto.Handshake
	full := strings.Replace(with("Origin: o", "Authorization: Bearer t", "Sec-WebSocket-Protocol: a, bearer.t",
		"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9"), "/v1/device", "/x?y", 1)
	if err := h.Parse(cfg, []byte(full)); err != nil {
		t.Fatal(err)
	}
	if h.Protocol != "a" || !h.Compression || h.Query == nil || h.BearerProtocol == nil {
		t.Fatalf("first: %+v", h)
	}
	if err := h.Parse(cfg, []byte(hello)); err != nil {
		t.Fatal(err)
	}
	if h.Query != nil || h.Origin != nil || h.Authorization != nil || h.Protocol != "" || h.Offered != 0 ||
		h.BearerProtocol != nil || h.Compression || h.WindowBits != 0 {
		t.Errorf("left over from the handshake before: %+v", h)
	}
	if got := string(h.AppendResponse(nil)); strings.Contains(got, "Sec-WebSocket-Protocol") || strings.Contains(got, "Extensions") {
		t.Errorf("response: %q", got)
	}
	if err := h.Parse(cfg, []byte("POST / HTTP/1.1\r\n\r\n")); err == nil || len(h.AppendResponse(nil)) != 0 {
		t.Errorf("after a refusal: err %v, response %q", err, h.AppendResponse(nil))
	}
}

// What else clients send and a server must take.
// [RFC6455 4.2.1] [RFC6455 3]
func TestHandshake_AlsoAccepted(t *testing.T) {
	for name, in := range map[string]string{
		"a Connection line of its own for each word": with("Connection: keep-alive"),
		"names and values in other cases":            strings.NewReplacer("Upgrade: websocket", "UPGRADE: WebSocket", "Connection: Upgrade", "connection: keep-alive, UPGRADE", "Sec-WebSocket-Key", "sec-websocket-key").Replace(hello),
		"no white space after the colon":             strings.ReplaceAll(hello, ": ", ":"),
		"an absolute target":                         replace("GET /v1", "GET http://proxy.example/v1"),
		"an absolute target of WebSocket":            replace("GET /v1", "GET ws://proxy.example/v1"),
		"the same by TLS, in capitals":               replace("GET /v1", "GET WSS://proxy.example:443/v1"),
		"a later HTTP/1 version":                     replace("HTTP/1.1", "HTTP/1.2"),
		"an empty host":                              replace("node.example:8080", ""),
		"an IPv6 host":                               replace("node.example:8080", "[2001:db8::1]:8080"),
		"a body of no bytes":                         with("Content-Length: 0"),
		"bytes above ASCII in a field value":         with("X-Name: caf\xe9"),
		"a header longer than 4 KiB":                 with("Cookie: " + strings.Repeat("c", 5000)),
		"64 fields":                                  with(slices.Repeat([]string{"X-A: b"}, 59)...),
	} {
		t.Run(name, func(t *testing.T) {
			h, err := shake(&wsproto.HandshakeConfig{}, in)
			if err != nil {
				t.Fatal(err)
			}
			if string(h.Path) != "/v1/device" {
				t.Errorf("path %q", h.Path)
			}
			if status, _, _ := response(t, h.AppendResponse(nil)); status != http.StatusSwitchingProtocols {
				t.Errorf("status %d", status)
			}
		})
	}
}

// refused is a handshake that a server must not take.
type refused struct {
	name, in string
	status   int
	reason   string
}

// What is refused, and how. Most of it gobwas/ws would take.
func refusals() []refused {
	big := strings.Repeat("a", 8192)
	return []refused{
		{"noise", "\x16\x03\x01\x02\x00\x01\x00", 400, "request line"},
		{"an empty line first", "\r\n" + hello, 400, "request line"},
		{"no target", replace("GET /v1/device ", "GET "), 400, "request line"},
		{"two spaces", replace("GET /", "GET  /"), 400, "request line"},
		{"a method that is no token", replace("GET", "G(T"), 400, "request line"},
		{"no version", replace(" HTTP/1.1", ""), 400, "request line"},
		{"a version that is none", replace("HTTP/1.1", "HTTP/1.x"), 400, "request line"},
		{"a long version", replace("HTTP/1.1", "HTTP/1.10"), 400, "request line"},
		{"another protocol", replace("HTTP/1.1", "HTCP/1.1"), 400, "request line"},
		{"HTTP/1.0 [RFC6455 4.2.1]", replace("HTTP/1.1", "HTTP/1.0"), 505, "HTTP/1.1"},
		{"HTTP/2.0 [RFC6455 4.2.1]", replace("HTTP/1.1", "HTTP/2.0"), 505, "HTTP/1.1"},
		{"POST [RFC6455 4.2.1]", replace("GET", "POST"), 405, "GET"},
		{"get", replace("GET", "get"), 405, "GET"},
		{"a path that does not begin with a slash", replace("/v1", "v1"), 400, "target"},
		{"an asterisk", replace("/v1/device", "*"), 400, "target"},
		{"a fragment [RFC6455 3]", replace("/v1/device", "/v1/device#a"), 400, "target"},
		{"an absolute target without a path", replace("/v1/device", "http://host"), 400, "target"},
		{"an absolute target without a host", replace("/v1/device", "http:///path"), 400, "target"},
		{"an absolute target with a user", replace("/v1/device", "http://user@host/path"), 400, "Host"},
		{"a control byte in the target", replace("/v1", "/\x01v1"), 400, "target"},
		{"a byte above ASCII in the target", replace("/v1", "/\xe9v1"), 400, "target"},

		{"a lone LF after the request line", replace("\r\n", "\n"), 400, "CR LF"},
		{"a lone LF after a header", replace("Upgrade\r\n", "Upgrade\n"), 400, "CR LF"},
		{"a lone LF as the blank line", strings.TrimSuffix(hello, "\r\n") + "\n", 400, "CR LF"},
		{"a lone CR in a value", with("X-A: b\rc"), 400, "field"},
		{"a space before the colon", replace("Host:", "Host :"), 400, "field"},
		{"a space before the name", replace("Host:", " Host:"), 400, "field"},
		{"a folded line", with("X-A: b", "\tc"), 400, "field"},
		{"a line without a colon", with("X-A"), 400, "field"},
		{"a field without a name", with(": a"), 400, "field"},
		{"a name that is no token", with("X(A: b"), 400, "field"},
		{"NUL in a value", with("X-A: b\x00"), 400, "field"},
		{"DEL in a value", with("X-A: b\x7f"), 400, "field"},
		{"a block over 8 KiB", with("X-A: " + big), 431, "too large"},
		{"8 KiB of request line", "GET /" + big, 431, "too large"},
		{"65 fields", with(slices.Repeat([]string{"X-A: b"}, 60)...), 431, "too many"},

		{"no Host [RFC6455 4.2.1]", without("Host"), 400, "Host"},
		{"two Hosts", with("Host: b"), 400, "repeated"},
		{"a Host with a path", replace("node.example:8080", "node.example/a"), 400, "Host"},
		{"a Host with a space", replace("node.example:8080", "node example"), 400, "Host"},
		{"a body", with("Content-Length: 5"), 400, "body"},
		{"two lengths", with("Content-Length: 0", "Content-Length: 5"), 400, "body"},
		{"a chunked body", with("Transfer-Encoding: chunked"), 400, "body"},
		{"two credentials", with("Authorization: a", "Authorization: b"), 400, "repeated"},
		{"two Origins", with("Origin: a", "Origin: b"), 400, "repeated"},

		{"no Upgrade [RFC6455 4.2.1]", without("Upgrade"), 426, "Upgrade"},
		{"an Upgrade to something else [RFC6455 4.2.1]", replace("websocket", "h2c"), 426, "Upgrade"},
		{"two Upgrades", with("Upgrade: websocket"), 400, "repeated"},
		{"no Connection [RFC6455 4.2.1]", without("Connection"), 400, "Connection"},
		{"a Connection without Upgrade [RFC6455 4.2.1]", replace("Connection: Upgrade", "Connection: keep-alive"), 400, "Connection"},
		{"a Connection of something else than tokens", replace("Connection: Upgrade", "Connection: (, Upgrade"), 400, "Connection"},
		{"a Connection with a word like Upgrade", replace("Connection: Upgrade", "Connection: Upgrades"), 400, "Connection"},
		{"no version header [RFC6455 4.2.1]", without("Sec-WebSocket-Version"), 426, "13"},
		{"version 8 [RFC6455 4.4]", replace(": 13", ": 8"), 426, "13"},
		{"a list of versions [RFC6455 4.4]", replace(": 13", ": 13, 8"), 426, "13"},
		{"two versions [RFC6455 11.3.5]", with("Sec-WebSocket-Version: 13"), 400, "repeated"},
		{"no key [RFC6455 4.2.1]", without("Sec-WebSocket-Key"), 400, "Key"},
		{"two keys [RFC6455 11.3.1]", with("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), 400, "repeated"},
		{"a key of 15 bytes [RFC6455 4.2.1]", replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"), 400, "Key"},
		{"a key of 17 bytes [RFC6455 4.2.1]", replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZXM="), 400, "Key"},
		{"a key that is not base64 [RFC6455 4.2.1]", replace("dGhlIHNhbXBsZSBub25jZQ==", "!GhlIHNhbXBsZSBub25jZQ=="), 400, "Key"},
		{"an empty key [RFC6455 4.2.1]", replace("dGhlIHNhbXBsZSBub25jZQ==", ""), 400, "Key"},
	}
}

func TestHandshake_Refused(t *testing.T) {
	for _, tt := range refusals() {
		t.Run(tt.name, func(t *testing.T) {
			_, err := shake(&wsproto.HandshakeConfig{}, tt.in)
			var r *wsproto.Refusal
			if !errors.As(err, &r) {
				t.Fatalf("err %v", err)
			}
			if r.Status != tt.status || !strings.Contains(r.Reason, tt.reason) {
				t.Errorf("got %d %q, want %d …%s…", r.Status, r.Reason, tt.status, tt.reason)
			}
		})
	}
}

// Parse relies on FindHeaderBlock for the limits, not for its own safety.
func TestHandshake_ParseAlone(t *testing.T) {
	var h wsproto.Handshake
	for name, in := range map[string]string{
		"nothing":             "",
		"no line":             "GET / HTTP/1.1",
		"no blank line":       strings.TrimSuffix(hello, "\r\n"),
		"bytes after the end": hello + "\x81\x80",
		"two blocks":          hello + hello,
	} {
		var r *wsproto.Refusal
		if err := h.Parse(&wsproto.HandshakeConfig{}, []byte(in)); !errors.As(err, &r) || r.Status != 400 {
			t.Errorf("%s: err %v", name, err)
		}
	}
}

// The end of the header is found wherever the reads were cut, and what the
// client sent after it is left alone.
func TestFindHeaderBlock(t *testing.T) {
	in := []byte(hello + "\x81\x80abcd" + "\r\n\r\n")
	cfg := &wsproto.HandshakeConfig{}
	for n := range in {
		got, err := wsproto.FindHeaderBlock(in[:n], cfg)
		want := 0
		if n >= len(hello) {
			want = len(hello)
		}
		if got != want || err != nil {
			t.Fatalf("of %d bytes: %d, %v", n, got, err)
		}
	}
}

func TestFindHeaderBlock_Limits(t *testing.T) {
	exact := &wsproto.HandshakeConfig{MaxHeaderBytes: len(hello), MaxHeaderFields: 5}
	if n, err := wsproto.FindHeaderBlock([]byte(hello), exact); n != len(hello) || err != nil {
		t.Errorf("at the limits: %d, %v", n, err)
	}
	var r *wsproto.Refusal
	short := &wsproto.HandshakeConfig{MaxHeaderBytes: len(hello) - 1}
	if _, err := wsproto.FindHeaderBlock([]byte(hello), short); !errors.As(err, &r) || r.Status != 431 {
		t.Errorf("one byte over: %v", err)
	}
	few := &wsproto.HandshakeConfig{MaxHeaderFields: 4}
	if _, err := wsproto.FindHeaderBlock([]byte(hello), few); !errors.As(err, &r) || r.Status != 431 {
		t.Errorf("one field over: %v", err)
	}
}

// A server keeps what it has read until the header block is whole, decides, and
// sends one of two answers.
func ExampleHandshake_Parse() {
	cfg := &wsproto.HandshakeConfig{Protocols: []string{"edgeloop.v1.json"}}
	read := []byte(with("Sec-WebSocket-Protocol: edgeloop.v1.json") + "\x81\x80\x00\x00\x00\x00")

	n, err := wsproto.FindHeaderBlock(read, cfg)
	if n == 0 && err == nil {
		return // read more
	}
	var h wsproto.Handshake
	if err == nil {
		err = h.Parse(cfg, read[:n])
	}
	var refusal *wsproto.Refusal
	if errors.As(err, &refusal) {
		fmt.Printf("%s", refusal.Append(nil))
		return
	}
	fmt.Printf("%s speaks %q, %d bytes of frames came along\n", h.Path, h.Protocol, len(read)-n)
	fmt.Println(strings.SplitN(string(h.AppendResponse(nil)), "\r\n", 2)[0])
	// Output:
	// /v1/device speaks "edgeloop.v1.json", 6 bytes of frames came along
	// HTTP/1.1 101 Switching Protocols
}
