package wsproto_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/gobwas/ws"

	"edgeloop/internal/bytebuf"
	"edgeloop/wsproto"
)

func masked(op ws.OpCode, payload []byte) []byte {
	f := ws.MaskFrameWith(ws.NewFrame(op, true, bytes.Clone(payload)), [4]byte{1, 2, 3, 4})
	return ws.MustCompileFrame(f)
}

func BenchmarkDecoder_Next(b *testing.B) {
	for _, op := range []ws.OpCode{ws.OpBinary, ws.OpText} {
		for _, size := range []int{16, 128, 1024, 16384} {
			b.Run(fmt.Sprintf("op=%d/payload=%dB", op, size), func(b *testing.B) {
				const frames = 32
				cfg, err := wsproto.NewDecoderConfig(wsproto.Limits{}, new(bytebuf.Pool))
				if err != nil {
					b.Fatal(err)
				}
				wire := bytes.Repeat(masked(op, bytes.Repeat([]byte("a"), size)), frames)
				batch := make([]byte, len(wire))
				var d wsproto.Decoder
				b.SetBytes(int64(len(wire)))
				b.ReportAllocs()
				for b.Loop() {
					copy(batch, wire)
					in := batch
					for {
						_, n, ok, err := d.Next(cfg, in)
						if err != nil {
							b.Fatal(err)
						}
						if !ok {
							break
						}
						in = in[n:]
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/frames, "ns/frame")
			})
		}
	}
}
