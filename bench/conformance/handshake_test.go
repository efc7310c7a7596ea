package conformance_test

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
)

// A helloCase is a request and the status it must get.
type helloCase struct {
	id, name string
	request  string
	status   int
	check    func(h http.Header) error
}

// with is the plain request with one line replaced by others, or by none.
func with(field string, lines ...string) string {
	var b strings.Builder
	for line := range strings.Lines(request) {
		if strings.HasPrefix(line, field+":") || strings.HasPrefix(line, field+" ") {
			line = strings.Join(append(lines, ""), "\r\n")
		}
		b.WriteString(line)
	}
	return b.String() + "\r\n"
}

// and is the plain request with lines more.
func and(lines ...string) string {
	return request + strings.Join(append(lines, "", ""), "\r\n")
}

func acceptFor(key string) string {
	h := sha1.New()
	_, _ = io.WriteString(h, key+"258EAFA5-E914-47DA-95CA-C5AB0DC85B11") // [RFC6455 1.3]
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

const sampleKey = "dGhlIHNhbXBsZSBub25jZQ=="

func has(field, value string) func(http.Header) error {
	return func(h http.Header) error {
		if got := h.Values(field); len(got) != 1 || !strings.EqualFold(got[0], value) {
			return fmt.Errorf("%s is %q, want %q", field, got, value)
		}
		return nil
	}
}

// Section 21: the opening handshake. [RFC6455 4.2]
func TestSection21_Handshake(t *testing.T) {
	refused := func(id, name, req string, status int) helloCase { return helloCase{id, name, req, status, nil} }
	taken := func(id, name, req string) helloCase { return helloCase{id, name, req, 101, nil} }
	many := strings.Repeat("X-Filler: 0123456789\r\n", 50)
	cases := []helloCase{
		taken("21.1.1", "the plain request", and()),
		taken("21.1.2", "names of fields in capitals", strings.ReplaceAll(strings.ToUpper(request), strings.ToUpper(sampleKey), sampleKey)+"\r\n"), // [RFC6455 4.2.1]
		taken("21.1.3", "Upgrade: WebSocket", with("Upgrade", "Upgrade: WebSocket")),
		taken("21.1.4", "Connection: keep-alive, Upgrade", with("Connection", "Connection: keep-alive, Upgrade")),
		taken("21.1.5", "two Connection fields", with("Connection", "Connection: keep-alive", "Connection: upgrade")),
		taken("21.1.6", "white space around values", with("Upgrade", "Upgrade: \t websocket \t")),
		taken("21.1.7", "no white space before values", with("Upgrade", "Upgrade:websocket")),
		taken("21.1.8", "a query", with("GET", "GET /?a=b&c=%20 HTTP/1.1")),
		taken("21.1.9", "the absolute form", with("GET", "GET http://node/ HTTP/1.1")), // [RFC6455 3]
		taken("21.1.10", "an Origin", and("Origin: https://example.com")),
		taken("21.1.11", "unknown fields", and("Cookie: a=b", "User-Agent: x", "X-Empty:")),
		taken("21.1.12", "fifty fields more", request+many+"\r\n"),
		taken("21.1.13", "Content-Length: 0", and("Content-Length: 0")),
		taken("21.1.14", "Host with a port", with("Host", "Host: node:8080")),
		taken("21.1.15", "Host with an IPv6 address", with("Host", "Host: [::1]:80")),
		{"21.2.1", "subprotocols that the node does not speak are not selected", and("Sec-WebSocket-Protocol: chat, superchat"), 101, absent("Sec-WebSocket-Protocol")},
		{"21.2.2", "unknown extensions are not accepted", and("Sec-WebSocket-Extensions: x-foo; a=1, x-bar"), 101, absent("Sec-WebSocket-Extensions")},
		{"21.2.3", "compression is not accepted where it is off", and("Sec-WebSocket-Extensions: permessage-deflate"), 101, absent("Sec-WebSocket-Extensions")},
		refused("21.3.1", "POST", with("GET", "POST / HTTP/1.1"), 405),
		refused("21.3.2", "HEAD", with("GET", "HEAD / HTTP/1.1"), 405),
		refused("21.3.3", "get in lower case", with("GET", "get / HTTP/1.1"), 405),
		refused("21.3.4", "HTTP/1.0", with("GET", "GET / HTTP/1.0"), 505),
		refused("21.3.5", "HTTP/2.0", with("GET", "GET / HTTP/2.0"), 505),
		refused("21.3.6", "no version", with("GET", "GET /"), 400),
		refused("21.3.7", "a target without a slash", with("GET", "GET x HTTP/1.1"), 400),
		refused("21.3.8", "a fragment in the target", with("GET", "GET /#x HTTP/1.1"), 400), // [RFC6455 3]
		refused("21.3.9", "two blanks", with("GET", "GET  / HTTP/1.1"), 400),
		refused("21.3.10", "a byte that is not ASCII in the target", with("GET", "GET /\xff HTTP/1.1"), 400),
		refused("21.3.11", "another path", with("GET", "GET /nothing HTTP/1.1"), 404), // [RFC6455 4.2.2]
		refused("21.4.1", "no Host", with("Host"), 400),
		refused("21.4.2", "two Hosts", with("Host", "Host: a", "Host: b"), 400),
		refused("21.4.3", "Host with a blank in it", with("Host", "Host: a b"), 400),
		refused("21.5.1", "no Upgrade", with("Upgrade"), 426),
		refused("21.5.2", "Upgrade to something else", with("Upgrade", "Upgrade: h2c"), 426),
		refused("21.5.3", "no Connection", with("Connection"), 400),
		refused("21.5.4", "Connection without Upgrade", with("Connection", "Connection: keep-alive"), 400),
		refused("21.5.5", "Connection: notupgrade", with("Connection", "Connection: notupgrade"), 400),
		refused("21.6.1", "no key", with("Sec-WebSocket-Key"), 400),
		refused("21.6.2", "an empty key", with("Sec-WebSocket-Key", "Sec-WebSocket-Key:"), 400),
		refused("21.6.3", "a key of 15 bytes", with("Sec-WebSocket-Key", "Sec-WebSocket-Key: "+base64.StdEncoding.EncodeToString(make([]byte, 15))), 400),
		refused("21.6.4", "a key of 17 bytes", with("Sec-WebSocket-Key", "Sec-WebSocket-Key: "+base64.StdEncoding.EncodeToString(make([]byte, 17))), 400),
		refused("21.6.5", "a key that is not base64", with("Sec-WebSocket-Key", "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=="), 400),
		refused("21.6.6", "two keys", with("Sec-WebSocket-Key", "Sec-WebSocket-Key: "+sampleKey, "Sec-WebSocket-Key: "+sampleKey), 400), // [RFC6455 11.3.1]
		{"21.7.1", "no version", with("Sec-WebSocket-Version"), 426, has("Sec-WebSocket-Version", "13")},
		{"21.7.2", "version 8", with("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"), 426, has("Sec-WebSocket-Version", "13")}, // [RFC6455 4.4]
		{"21.7.3", "version 013", with("Sec-WebSocket-Version", "Sec-WebSocket-Version: 013"), 426, has("Sec-WebSocket-Version", "13")},
		{"21.7.4", "a list of versions", with("Sec-WebSocket-Version", "Sec-WebSocket-Version: 13, 8"), 426, has("Sec-WebSocket-Version", "13")},
		refused("21.7.5", "two versions", with("Sec-WebSocket-Version", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13"), 400),
		refused("21.8.1", "line feeds alone", strings.ReplaceAll(and(), "\r\n", "\n"), 400),
		refused("21.8.2", "one line feed alone", strings.Replace(and(), "Upgrade: websocket\r\n", "Upgrade: websocket\n", 1), 400),
		refused("21.8.3", "a blank before the colon", with("Upgrade", "Upgrade : websocket"), 400),
		refused("21.8.4", "a folded line", and("X-Folded: a", " b"), 400),
		refused("21.8.5", "a field without a colon", and("nonsense"), 400),
		refused("21.8.6", "a field without a name", and(": x"), 400),
		refused("21.8.7", "a zero byte in a value", and("X: a\x00b"), 400),
		refused("21.8.8", "a carriage return in a value", and("X: a\rb"), 400),
		refused("21.8.9", "a body announced", and("Content-Length: 5"), 400),
		refused("21.8.10", "a body in chunks", and("Transfer-Encoding: chunked"), 400),
		refused("21.9.1", "a field of 9000 bytes", and("X: "+strings.Repeat("a", 9000)), 431),
		refused("21.9.2", "a hundred fields", request+many+many+"\r\n", 431),
		refused("21.9.3", "a request line of 9000 bytes", with("GET", "GET /"+strings.Repeat("a", 9000)+" HTTP/1.1"), 431),
		refused("21.10.1", "subprotocols that are no tokens", and("Sec-WebSocket-Protocol: a b"), 400), // [RFC6455 4.1]
		refused("21.10.2", "a subprotocol twice", and("Sec-WebSocket-Protocol: a, a"), 400),            // [RFC6455 4.1]
		refused("21.10.3", "extensions that break the grammar", and("Sec-WebSocket-Extensions: ;;;"), 400),
	}
	for _, c := range cases {
		t.Run(c.id, func(t *testing.T) {
			ways := append([]way{{"whole", [][]byte{[]byte(c.request)}}}, cuts([]byte(c.request))...)
			for _, w := range ways {
				if err := c.play(w.pieces); err != nil {
					t.Fatalf("%s, %s: %v", c.name, w.name, err)
				}
			}
		})
	}
}

func absent(field string) func(http.Header) error {
	return func(h http.Header) error {
		if got := h.Values(field); len(got) != 0 {
			return fmt.Errorf("%s is %q, want none", field, got)
		}
		return nil
	}
}

func (c *helloCase) play(pieces [][]byte) error {
	d, err := dial(plainAddr)
	if err != nil {
		return err
	}
	defer d.close()
	played.Add(1)
	a, err := d.ask(pieces)
	if err != nil {
		return err
	}
	if a.status != c.status {
		return fmt.Errorf("%d (%s), want %d", a.status, a.body, c.status)
	}
	if c.check != nil {
		if err := c.check(a.header); err != nil {
			return err
		}
	}
	if c.status != http.StatusSwitchingProtocols {
		if _, err := d.r.r.ReadByte(); !errors.Is(err, io.EOF) {
			return fmt.Errorf("after the refusal: %w, want the end of the stream", err)
		}
		return nil
	}
	for _, ok := range []func(http.Header) error{
		has("Upgrade", "websocket"), has("Connection", "Upgrade"), // [RFC6455 4.2.2]
		func(h http.Header) error {
			if got := h.Get("Sec-WebSocket-Accept"); got != acceptFor(sampleKey) {
				return fmt.Errorf("Sec-WebSocket-Accept is %q", got)
			}
			return nil
		},
	} {
		if err := ok(a.header); err != nil {
			return err
		}
	}
	if err := d.play([][]byte{pingFrame("x")}, echoes(pong("x")), stay); err != nil {
		return err
	}
	return d.leave()
}

// The answer to the key is computed, not remembered, and the client may send
// frames before it has seen it. [RFC6455 4.2.2]
func TestSection21_KeysAndPipelining(t *testing.T) {
	for range quickOr(50, 1000) {
		var raw [16]byte
		for i := range raw {
			raw[i] = byte(rand.Uint32())
		}
		key := base64.StdEncoding.EncodeToString(raw[:])
		d, err := dial(plainAddr)
		if err != nil {
			t.Fatal(err)
		}
		req := join([]byte(with("Sec-WebSocket-Key", "Sec-WebSocket-Key: "+key)), textFrame("early"), pingFrame("bird"))
		at := rand.IntN(len(req))
		a, err := d.ask([][]byte{req[:at], req[at:]})
		if err != nil {
			t.Fatal(err)
		}
		if got := a.header.Get("Sec-WebSocket-Accept"); got != acceptFor(key) {
			t.Errorf("the answer to key %s is %q", key, got)
		}
		if err := d.play(nil, echoes(text("early"), pong("bird")), stay); err != nil {
			t.Errorf("cut at %d: %v", at, err)
		}
		if err := d.leave(); err != nil {
			t.Error(err)
		}
		d.close()
	}
}

// Section 14: what is agreed on compression. The answer may hold only what the
// offer allows. [RFC7692 5] [RFC7692 7.1]
func TestSection14_Negotiation(t *testing.T) {
	const no = ""
	for i, c := range []struct{ offer, want string }{
		{"permessage-deflate", "any"},
		{"Permessage-Deflate", "any"},
		{"permessage-deflate; client_max_window_bits", "any"},
		{"permessage-deflate; client_max_window_bits=8", "any"},
		{"permessage-deflate; client_max_window_bits=15", "any"},
		{`permessage-deflate; client_max_window_bits="10"`, "any"},
		{"permessage-deflate; server_max_window_bits=8", "8"},
		{"permessage-deflate; server_max_window_bits=9", "9"},
		{"permessage-deflate; server_max_window_bits=15", "15"},
		{`permessage-deflate; server_max_window_bits="11"`, "11"},
		{"permessage-deflate; server_no_context_takeover", "any"},
		{"permessage-deflate; client_no_context_takeover", "any"},
		{"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=10", "10"},
		{"permessage-deflate ; server_max_window_bits = 10", "10"},
		{"x-unknown, permessage-deflate", "any"},
		{"permessage-deflate; server_max_window_bits=16, permessage-deflate; server_max_window_bits=12", "12"},
		{"permessage-deflate; unknown, permessage-deflate", "any"},
		{"permessage-deflate, permessage-deflate; server_max_window_bits=9", "any"},
		{"permessage-deflate; server_max_window_bits", no},
		{"permessage-deflate; server_max_window_bits=7", no},
		{"permessage-deflate; server_max_window_bits=16", no},
		{"permessage-deflate; server_max_window_bits=08", no},
		{"permessage-deflate; server_max_window_bits=8x", no},
		{"permessage-deflate; server_max_window_bits=-8", no},
		{"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", no},
		{"permessage-deflate; client_max_window_bits=7", no},
		{"permessage-deflate; client_max_window_bits=16", no},
		{"permessage-deflate; client_max_window_bits=010", no},
		{"permessage-deflate; client_max_window_bits; client_max_window_bits", no},
		{"permessage-deflate; server_no_context_takeover=1", no},
		{"permessage-deflate; client_no_context_takeover=true", no},
		{"permessage-deflate; server_no_context_takeover; server_no_context_takeover", no},
		{"permessage-deflate; unknown", no},
		{"permessage-deflate; unknown=1", no},
		{"permessage-deflat", no},
		{"x-webkit-deflate-frame", no},
		{"x-unknown", no},
	} {
		t.Run(fmt.Sprintf("14.%d", i+1), func(t *testing.T) {
			d, err := dial(deflateAddr)
			if err != nil {
				t.Fatal(err)
			}
			defer d.close()
			a, err := d.ask([][]byte{[]byte(and("Sec-WebSocket-Extensions: " + c.offer))})
			if err != nil {
				t.Fatal(err)
			}
			if a.status != http.StatusSwitchingProtocols {
				t.Fatalf("offer %q: %d: an offer that cannot be met is declined, not refused", c.offer, a.status)
			}
			answer := a.header.Values("Sec-WebSocket-Extensions")
			if c.want == no {
				if len(answer) != 0 {
					t.Errorf("offer %q was accepted: %q", c.offer, answer)
				}
				return
			}
			if len(answer) != 1 {
				t.Fatalf("offer %q: the answer is %q", c.offer, answer)
			}
			if err := checkAnswer(answer[0], c.want); err != nil {
				t.Errorf("offer %q: %v", c.offer, err)
			}
		})
	}
}

// checkAnswer holds the node's parameters to what was offered.
func checkAnswer(answer, bits string) error {
	parts := strings.Split(answer, ";")
	if strings.TrimSpace(parts[0]) != plainOffer {
		return fmt.Errorf("the answer is %q", answer)
	}
	seen := map[string]bool{}
	for _, p := range parts[1:] {
		name, value, _ := strings.Cut(strings.TrimSpace(p), "=")
		if seen[name] {
			return fmt.Errorf("%s comes twice in %q", name, answer)
		}
		seen[name] = true
		switch name {
		case "server_no_context_takeover", "client_no_context_takeover":
			if value != "" {
				return fmt.Errorf("%s has a value in %q", name, answer)
			}
		case "server_max_window_bits":
			if value != bits {
				return fmt.Errorf("%d-bit window in %q, %s was asked for", len(value), answer, bits)
			}
		default: // client_max_window_bits would not be needed by this node
			return fmt.Errorf("unexpected %s in %q", name, answer)
		}
	}
	if bits != "any" && !seen["server_max_window_bits"] {
		return fmt.Errorf("the limit of the window is not in %q [RFC7692 7.1.2.1]", answer)
	}
	return nil
}
