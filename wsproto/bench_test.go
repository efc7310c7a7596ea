package wsproto_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/gobwas/ws"

	"edgeloop/wsproto"
)

// telemetry is n bytes of what devices send.
func telemetry(n int) []byte {
	const reading = `{"type":"telemetry","seq":7,"topic":"temp","ts":1795234836000,"data":{"c":21.5}}` + "\n"
	return bytes.Repeat([]byte(reading), n/len(reading)+1)[:n]
}

// One read of 32 frames, as a loop gets it from a busy device or many reads of
// one frame from quiet ones: the cost is by frame.
func BenchmarkDecoder_Next(b *testing.B) {
	for _, op := range []ws.OpCode{ws.OpBinary, ws.OpText} {
		for _, size := range []int{16, 125, 128, 1024, 16384} {
			b.Run(fmt.Sprintf("opcode=%d/payload=%dB", op, size), func(b *testing.B) {
				const frames = 32
				benchDecode(b, wsproto.Decoder{}, bytes.Repeat(frame(op, true, telemetry(size)), frames), frames)
			})
		}
	}
}

// Messages that have to be put together.
func BenchmarkDecoder_Next_Fragments(b *testing.B) {
	for _, size := range []int{128, 1024, 16384} {
		b.Run(fmt.Sprintf("payload=%dB", size), func(b *testing.B) {
			half := telemetry(size / 2)
			wire := append(frame(ws.OpText, false, half), frame(ws.OpContinuation, true, half)...)
			benchDecode(b, wsproto.Decoder{}, wire, 1)
		})
	}
}

func BenchmarkDecoder_Next_Compressed(b *testing.B) {
	for _, size := range []int{128, 1024, 16384} {
		b.Run(fmt.Sprintf("payload=%dB", size), func(b *testing.B) {
			var z wsproto.Deflater
			benchDecode(b, wsproto.NewDecoder(true), compressed(b, &z, telemetry(size), 15), 1)
		})
	}
}

func benchDecode(b *testing.B, d wsproto.Decoder, wire []byte, events int) {
	cfg := config(b, wsproto.Limits{})
	buf := make([]byte, len(wire))
	b.SetBytes(int64(len(wire)))
	b.ReportAllocs()
	for b.Loop() {
		if n := drain(b, &d, cfg, buf, wire); n != events {
			b.Fatal(n)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*events), "ns/event")
}

func BenchmarkAppendFrame(b *testing.B) {
	for _, size := range []int{125, 1024} {
		b.Run(fmt.Sprintf("payload=%dB", size), func(b *testing.B) {
			payload, dst := telemetry(size), make([]byte, 0, 2*size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				wsproto.AppendFrame(dst, wsproto.OpText, payload)
			}
		})
	}
}

func BenchmarkAppendCompressed(b *testing.B) {
	for _, size := range []int{128, 1024, 16384} {
		b.Run(fmt.Sprintf("payload=%dB", size), func(b *testing.B) {
			var z wsproto.Deflater
			payload, dst := telemetry(size), make([]byte, 0, 2*size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				wsproto.AppendCompressed(dst, wsproto.OpText, payload, &z, 15)
			}
		})
	}
}

func BenchmarkHandshake(b *testing.B) {
	cfg := &wsproto.HandshakeConfig{Protocols: []string{"edgeloop.v1.json"}}
	block := []byte(with("Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl", "User-Agent: device/1",
		"Sec-WebSocket-Protocol: edgeloop.v1.json"))
	dst := make([]byte, 0, 1024)
	var h wsproto.Handshake
	b.ReportAllocs()
	for b.Loop() {
		if _, err := wsproto.FindHeaderBlock(block, cfg); err != nil {
			b.Fatal(err)
		}
		if err := h.Parse(cfg, block); err != nil {
			b.Fatal(err)
		}
		h.AppendResponse(dst)
	}
}
