package wsproto_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"testing"

	"github.com/gobwas/ws"

	"edgeloop/internal/invariants"
	"edgeloop/wsproto"
)

// wantAllocs checks how many allocations fn makes in steady state.
func wantAllocs(t *testing.T, want float64, fn func()) {
	t.Helper()
	if invariants.Race {
		t.Skip("the race detector makes sync.Pool drop values")
	}
	if got := testing.AllocsPerRun(1000, fn); got > want {
		t.Errorf("%v allocations, want at most %v", got, want)
	}
}

// frame is one masked frame.
func frame(op ws.OpCode, fin bool, payload []byte) []byte {
	return ws.MustCompileFrame(ws.MaskFrameWith(ws.NewFrame(op, fin, payload), [4]byte{1, 2, 3, 4}))
}

// drain decodes all of wire, which it copies first because decoding unmasks.
func drain(t tb, d *wsproto.Decoder, cfg *wsproto.DecoderConfig, buf, wire []byte) (events int) {
	in := buf[:copy(buf, wire)]
	for {
		_, n, ok, err := d.Next(cfg, in)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return events
		}
		events++
		in = in[n:]
	}
}

func TestAllocs_DecodeInPlace(t *testing.T) {
	cfg := config(t, wsproto.Limits{})
	payload := bytes.Repeat([]byte("é"), 64)
	wire := append(frame(ws.OpText, true, payload), frame(ws.OpBinary, true, payload)...)
	wire = append(wire, frame(ws.OpPing, true, []byte("p"))...)
	buf := make([]byte, len(wire))
	var d wsproto.Decoder
	wantAllocs(t, 0, func() {
		if n := drain(t, &d, cfg, buf, wire); n != 3 || !d.Idle() {
			t.Fatal(n, d.Idle())
		}
	})
}

func TestAllocs_DecodeFragments(t *testing.T) {
	cfg := config(t, wsproto.Limits{})
	payload := bytes.Repeat([]byte("é"), 300)
	wire := append(frame(ws.OpText, false, payload), frame(ws.OpPing, true, []byte("p"))...)
	wire = append(wire, frame(ws.OpContinuation, true, payload)...)
	buf := make([]byte, len(wire))
	var d wsproto.Decoder
	wantAllocs(t, 0, func() {
		if n := drain(t, &d, cfg, buf, wire); n != 2 || !d.Idle() {
			t.Fatal(n, d.Idle())
		}
	})
}

func TestAllocs_DecodePieces(t *testing.T) {
	cfg := config(t, wsproto.Limits{})
	wire := frame(ws.OpText, true, bytes.Repeat([]byte("é"), 300))
	buf := make([]byte, len(wire))
	var d wsproto.Decoder
	wantAllocs(t, 0, func() {
		events := 0
		for from := 0; from < len(wire); from += 100 {
			events += drain(t, &d, cfg, buf, wire[from:min(from+100, len(wire))])
		}
		if events != 1 || !d.Idle() {
			t.Fatal(events, d.Idle())
		}
	})
}

func TestAllocs_DecodeCompressed(t *testing.T) {
	var z wsproto.Deflater
	var readings, long bytes.Buffer
	for i := range 2000 {
		fmt.Fprintf(&readings, `{"t":%d,"p":%d}`, i*i%997, i*i*i%9973)
	}
	w, _ := flate.NewWriter(&long, flate.BestCompression) // codes of over 9 bits
	_, _ = w.Write(readings.Bytes())
	_ = w.Flush()
	in := frame(ws.OpBinary, true, bytes.TrimSuffix(long.Bytes(), []byte("\x00\x00\xff\xff")))
	in[0] |= 0x40
	for name, wire := range map[string][]byte{
		"ours":       compressed(t, &z, bytes.Repeat([]byte(`{"type":"telemetry"}`), 50), 15),
		"long codes": in,
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, wsproto.Limits{})
			buf := make([]byte, len(wire))
			d := wsproto.NewDecoder(true)
			wantAllocs(t, 0, func() {
				if n := drain(t, &d, cfg, buf, wire); n != 1 || !d.Idle() {
					t.Fatal(n, d.Idle())
				}
			})
		})
	}
}

func TestAllocs_Encode(t *testing.T) {
	payload := bytes.Repeat([]byte("telemetry "), 100)
	dst := make([]byte, 0, 4096)
	var z wsproto.Deflater
	t.Run("frame", func(t *testing.T) {
		wantAllocs(t, 0, func() { wsproto.AppendFrame(dst, wsproto.OpBinary, payload) })
	})
	t.Run("close", func(t *testing.T) {
		wantAllocs(t, 0, func() { wsproto.AppendClose(dst, wsproto.CloseGoingAway, "retry=5") })
	})
	t.Run("compressed", func(t *testing.T) {
		wantAllocs(t, 0, func() { wsproto.AppendCompressed(dst, wsproto.OpBinary, payload, &z, 15) })
	})
}

// The budget is that of the library that writes the response; our checks add none.
func TestAllocs_Handshake(t *testing.T) {
	cfg := &wsproto.HandshakeConfig{Protocols: []string{"edgeloop.v1.json"}, Compression: true}
	block := []byte(with("Origin: https://app.example", "Authorization: Bearer a.b.c", "User-Agent: device/1",
		"Sec-WebSocket-Protocol: edgeloop.v1.json, bearer.abc", "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=9"))
	dst := make([]byte, 0, 1024)
	var h wsproto.Handshake
	wantAllocs(t, 2, func() {
		if n, err := wsproto.FindHeaderBlock(block, cfg); n != len(block) || err != nil {
			t.Fatal(n, err)
		}
		if err := h.Parse(cfg, block); err != nil {
			t.Fatal(err)
		}
		h.AppendResponse(dst)
	})
}
