package wsproto_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"edgeloop/wsproto"
)

// cuts draws places to cut n bytes at from the seed.
func cuts(seed []byte, n int) (out []int) {
	for _, b := range seed {
		out = append(out, int(b)*n/256)
	}
	slices.Sort(out)
	return out
}

// Any bytes mean the same to the decoder as to the model, however they are cut.
func FuzzDecoder(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.frames")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		_, cases := loadGolden(f, path)
		for _, g := range cases {
			if len(g.input) < 1000 {
				f.Add(g.input, []byte{40, 41, 100, 200}, g.compression)
			}
		}
	}
	limits := wsproto.Limits{MaxFrame: 500, MaxMessage: 800}
	for _, s := range streamSeeds {
		if len(s.in) < 1000 {
			f.Add(s.in, s.seed, false)
		}
	}
	cfg, stream := config(f, limits), config(f, wsproto.Limits{MaxMessage: wsproto.MaxLimit})
	f.Fuzz(func(t *testing.T, in, seed []byte, compression bool) {
		agreeAsStream(t, stream, in, seed)
		d := wsproto.NewDecoder(compression)
		whole := decode(t, &d, cfg, in)
		d.Release(cfg)
		if !compression {
			if want := modelDecode(in, limits); !slices.Equal(whole, want) {
				t.Fatalf("%x\ngot  %q\nwant %q", in, whole, want)
			}
		}
		d = wsproto.NewDecoder(compression)
		split := decode(t, &d, cfg, in, cuts(seed, len(in))...)
		d.Release(cfg)
		if !slices.Equal(whole, split) {
			t.Fatalf("%x cut at %v\nwhole %q\nsplit %q", in, cuts(seed, len(in)), whole, split)
		}
	})
}

// Compressed data with and without a code for distances; both use one. Only the first is valid.
// In emptyCode all of the 267 literal and 20 distance codes have length zero.
var (
	withDistance = []byte("\f\xc0\x01\t\x00\x00\x00\x80\xa0\xad\xfe?Qb\x01")
	noDistance   = []byte("\f\xc0\x01\t\x00\x00\x00\x80\xa0\xad\xfe?Q`\x01")
	emptyCode    = append([]byte{0x54, 0x13, 0x02, 0xc4}, bytes.Repeat([]byte{0x30}, 137)...)
)

// inflated is what cfg makes of compressed data.
func inflated(cfg *wsproto.DecoderConfig, data []byte) (string, error) {
	in := frame(ws.OpBinary, true, bytes.Clone(data))
	in[0] |= 0x40
	d := wsproto.NewDecoder(true)
	defer d.Release(cfg)
	ev, _, ok, err := d.Next(cfg, in)
	if err == nil && !ok {
		err = errors.New("no message of a whole frame")
	}
	return string(ev.Payload), err
}

// Any bytes inflate to what the standard library inflates them to, whatever was inflated
// before, or are refused for the same reason; never to more than the limit. Of a block
// without a code, which it refuses, they are what the library in use makes of it.
func FuzzInflate(f *testing.F) {
	_, cases := loadGolden(f, "testdata/deflate.frames")
	for _, g := range cases {
		f.Add(g.input[min(len(g.input), 6):], uint16(1000))
	}
	f.Add([]byte(strings.Repeat("\x01\x00\x00\xff\xff", 70)+"\x00"), uint16(10))
	f.Add([]byte{0xec, 0xc1, 0x31, 0x01, 0, 0, 0, 0x40, 0xa0}, uint16(65535))
	f.Add(withDistance, uint16(10))
	f.Add(noDistance, uint16(10))
	f.Add(emptyCode, uint16(100))
	var z wsproto.Deflater
	f.Fuzz(func(t *testing.T, data []byte, limit uint16) {
		most := max(1, int(limit))
		cfg := config(t, wsproto.Limits{MaxMessage: most, MaxFrame: 1 << 20})
		got, err := inflated(cfg, data)
		want, fault := modelInflate(flate.NewReader(nil), data, most)
		if fault == wsproto.ErrInflate && !errors.Is(err, fault) { // a block without a code
			want, fault = modelInflate(laxReader(), data, most)
		}
		switch {
		case len(data) > most*9/8+64:
			if !errors.Is(err, wsproto.ErrMessageTooBig) {
				t.Errorf("%d bytes of compressed data over a limit of %d: err %v", len(data), limit, err)
			}
		case fault != nil:
			if !errors.Is(err, fault) {
				t.Errorf("%x: err %v, want %v", data, err, fault)
			}
		case err != nil || got != string(want):
			t.Errorf("%x: err %v, %d bytes, want %d", data, err, len(got), len(want))
		}
		for _, other := range [][]byte{withDistance, emptyCode} {
			_, _ = inflated(cfg, other)
			if again, errAgain := inflated(cfg, data); again != got || !errors.Is(errAgain, err) {
				t.Errorf("%x: %q, err %v; behind %x %q, err %v", data, got, err, other, again, errAgain)
			}
		}

		// And what we deflate, we inflate.
		for _, bits := range []uint8{8, 15} {
			d := wsproto.NewDecoder(true)
			ev, _, ok, err := d.Next(config(t, wsproto.Limits{}), compressed(t, &z, data, bits))
			if err != nil || !ok || !bytes.Equal(ev.Payload, data) {
				t.Errorf("%d bits, %x: ok %v, err %v, %d bytes", bits, data, ok, err, len(ev.Payload))
			}
		}
	})
}

// A block that lacks a code is refused, also behind a message that has it.
func TestInflate_CodesOfAnotherMessage(t *testing.T) {
	cfg := config(t, wsproto.Limits{MaxMessage: 1000})
	for _, data := range [][]byte{noDistance, emptyCode} {
		for range 2 {
			if got, err := inflated(cfg, data); !errors.Is(err, wsproto.ErrInflate) {
				t.Errorf("%x: %q, err %v", data, got, err)
			}
			if got, err := inflated(cfg, withDistance); got != "aaaaaa" || err != nil {
				t.Errorf("%x: %q, err %v", withDistance, got, err)
			}
		}
	}
}

// A handshake that is accepted is one that net/http reads the same way, and is
// answered by a 101 with the right proof. One that is refused gets an HTTP
// response. Cutting it changes nothing.
func FuzzHandshake(f *testing.F) {
	f.Add([]byte(hello), uint16(20))
	f.Add([]byte(with("Origin: a", "Authorization: Bearer b", "Sec-WebSocket-Protocol: v1, bearer.x", "Content-Length: 0")), uint16(200))
	f.Add([]byte(with(`Sec-WebSocket-Extensions: a; b="c", permessage-deflate; server_max_window_bits=9`)+"\x81\x80"), uint16(300))
	f.Add([]byte(strings.Replace(hello, "/v1/device", "http://host/a?b", 1)), uint16(1))
	for _, r := range refusals() {
		if len(r.in) < 1000 {
			f.Add([]byte(r.in), uint16(20))
		}
	}
	cfg := &wsproto.HandshakeConfig{Protocols: []string{"v2", "v1"}, Compression: true, MaxHeaderBytes: 1024, MaxHeaderFields: 16}
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		n, err := wsproto.FindHeaderBlock(in, cfg)
		early, earlyErr := wsproto.FindHeaderBlock(in[:min(int(cut), len(in))], cfg)
		if early != 0 && early != n || earlyErr != nil && !errors.Is(err, earlyErr) {
			t.Fatalf("at %d: %d, %v; of all: %d, %v", cut, early, earlyErr, n, err)
		}
		if err != nil {
			checkRefusal(t, err)
		}
		if n != 0 {
			checkParse(t, cfg, in[:n])
		}
	})
}

// The same, with most of the handshake in order, so that chance gets past the
// first line.
func FuzzHandshakeFields(f *testing.F) {
	f.Add("/v1/device", "X-A: b\r\n")
	f.Add("/a?b", "Origin: a\r\nAuthorization: Bearer b\r\n")
	f.Add("https://host", "Content-Length: 0\r\n")
	f.Add("/", "Sec-WebSocket-Protocol: v1, bearer.x\r\nsec-websocket-protocol:v2\r\n")
	f.Add("/", "Sec-WebSocket-Extensions: a; b=\"c\", permessage-deflate; server_max_window_bits=9\r\n")
	f.Add("/", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nTransfer-Encoding: a\r\n")
	cfg := &wsproto.HandshakeConfig{Protocols: []string{"v2", "v1"}, Compression: true}
	head, rest, _ := strings.Cut(hello, "/v1/device")
	f.Fuzz(func(t *testing.T, target, fields string) {
		checkParse(t, cfg, []byte(head+target+strings.TrimSuffix(rest, "\r\n")+fields+"\r\n"))
	})
}

// checkParse parses block and checks what comes of it, whatever it is.
func checkParse(t *testing.T, cfg *wsproto.HandshakeConfig, block []byte) {
	t.Helper()
	before := bytes.Clone(block)
	var h wsproto.Handshake
	err := h.Parse(cfg, block)
	if !bytes.Equal(block, before) {
		t.Fatal("Parse wrote to its block")
	}
	if err != nil {
		checkRefusal(t, err)
		return
	}
	checkAccepted(t, &h, block)
}

func checkRefusal(t *testing.T, err error) {
	t.Helper()
	var r *wsproto.Refusal
	if !errors.As(err, &r) {
		t.Fatalf("not a Refusal: %v", err)
	}
	if status, _, _ := response(t, r.Append(nil)); status != r.Status {
		t.Errorf("%v: answered with %d", r, status)
	}
}

func checkAccepted(t *testing.T, h *wsproto.Handshake, block []byte) {
	t.Helper()
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(block)))
	if err != nil {
		// Escapes in the target are not looked at here; the user of the path does that.
		if strings.Contains(err.Error(), "parse ") {
			return
		}
		t.Fatalf("%q: net/http says %v", block, err)
	}
	host := string(h.Host)
	if u, err := url.PathUnescape(host); err == nil && u == req.Host {
		host = u // net/http undoes the escapes of an absolute target's host
	}
	if req.Method != http.MethodGet || !req.ProtoAtLeast(1, 1) || req.ContentLength != 0 || req.Host != host {
		t.Errorf("%q: net/http reads %s %s, host %q against %q, %d bytes", block, req.Method, req.Proto, req.Host, h.Host, req.ContentLength)
	}
	if path, err := url.PathUnescape(string(h.Path)); err != nil || req.URL.Path != path || req.URL.RawQuery != string(h.Query) {
		t.Errorf("%q: net/http reads %q ? %q, not %q ? %q", block, req.URL.Path, req.URL.RawQuery, h.Path, h.Query)
	}
	for name := range req.Header {
		if got := string(h.HeaderField(name)); got != req.Header.Get(name) {
			t.Errorf("%s: %q, net/http reads %q", name, got, req.Header.Get(name))
		}
	}
	checkAgainstGobwas(t, h, block, req.Header["Connection"])
	status, header, _ := response(t, h.AppendResponse(nil))
	if status != http.StatusSwitchingProtocols {
		t.Errorf("%q: answered with %d", block, status)
	}
	proof := sha1.Sum([]byte(req.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // [RFC6455 4.2.2]
	if got := header.Get("Sec-Websocket-Accept"); got != base64.StdEncoding.EncodeToString(proof[:]) {
		t.Errorf("%q: accepted with %q", block, got)
	}
	if got := header.Get("Sec-Websocket-Protocol"); got != h.Protocol {
		t.Errorf("%q: protocol %q, want %q", block, got, h.Protocol)
	}
	if got := header.Get("Sec-Websocket-Extensions"); (got != "") != h.Compression {
		t.Errorf("%q: extensions %q, compression %v", block, got, h.Compression)
	}
}

// checkAgainstGobwas has gobwas/ws judge the same block: it takes it, and its 101 is ours but
// for the extension, of which it is not told.
func checkAgainstGobwas(t *testing.T, h *wsproto.Handshake, block []byte, connection []string) {
	t.Helper()
	if len(connection) != 1 || !strings.EqualFold(connection[0], "upgrade") {
		return // it wants the word in each line of the list, and nothing but tokens before it
	}
	var want bytes.Buffer
	upgrader := ws.Upgrader{ProtocolCustom: func([]byte) (string, bool) { return h.Protocol, true }}
	if _, err := upgrader.Upgrade(struct {
		io.Reader
		io.Writer
	}{bytes.NewReader(block), &want}); err != nil {
		t.Errorf("%q: gobwas/ws says %v", block, err)
		return
	}
	var got []byte
	for line := range bytes.Lines(h.AppendResponse(nil)) {
		if !bytes.HasPrefix(line, []byte("Sec-WebSocket-Extensions: ")) {
			got = append(got, line...)
		}
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%q: answered with %q, by gobwas/ws with %q", block, got, want.Bytes())
	}
}
