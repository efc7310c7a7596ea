package wsproto_test

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"edgeloop/wsproto"
)

// What the encoder writes is what another implementation reads, in the
// shortest form and without a mask. [RFC6455 5.1] [RFC6455 5.2]
func TestAppendFrameHeader(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 1 << 40} {
		for _, fin := range []bool{false, true} {
			for _, rsv1 := range []bool{false, true} {
				b := wsproto.AppendFrameHeader([]byte("before"), wsproto.OpBinary, fin, rsv1, n)
				b, ok := bytes.CutPrefix(b, []byte("before"))
				if !ok {
					t.Fatalf("n %d: what was in dst is gone", n)
				}
				h, err := ws.ReadHeader(bytes.NewReader(b))
				if err != nil {
					t.Fatal(err)
				}
				want := ws.Header{Fin: fin, OpCode: ws.OpBinary, Rsv: ws.Rsv(rsv1, false, false), Length: int64(n)}
				if h != want || len(b) != ws.HeaderSize(want) {
					t.Errorf("%x: read as %+v in %d bytes, want %+v in %d", b, h, len(b), want, ws.HeaderSize(want))
				}
			}
		}
	}
}

func TestAppendFrame(t *testing.T) {
	got := wsproto.AppendFrame(nil, wsproto.OpText, []byte("Hello"))
	if want := "\x81\x05Hello"; string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// [RFC6455 5.5.1]
func TestAppendClose(t *testing.T) {
	long := strings.Repeat("é", 100)
	for _, tt := range []struct {
		name   string
		code   wsproto.CloseCode
		reason string
		want   string
	}{
		{"code and reason", wsproto.CloseGoingAway, "retry=5", "\x88\x09\x03\xe9retry=5"},
		{"code alone", wsproto.CloseNormal, "", "\x88\x02\x03\xe8"},
		{"no code", wsproto.CloseNoStatus, "ignored", "\x88\x00"},
		{"a long reason is cut", wsproto.CloseNormal, strings.Repeat("a", 200), "\x88\x7d\x03\xe8" + strings.Repeat("a", 123)},
		{"and not inside a character", wsproto.CloseNormal, long, "\x88\x7c\x03\xe8" + long[:122]},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := wsproto.AppendClose(nil, tt.code, tt.reason)
			if string(got) != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if len(got) > 127 || len(got) > 4 && !utf8.Valid(got[4:]) {
				t.Errorf("not a valid control frame: %q", got)
			}
		})
	}
}

// The codes that may be on the wire, one by one. [RFC6455 7.4.1] [RFC6455 7.4.2]
func TestCloseCode_ValidOnWire(t *testing.T) {
	valid := map[int]bool{}
	for _, c := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014} {
		valid[c] = true
	}
	for c := 3000; c <= 4999; c++ {
		valid[c] = true
	}
	for c := range 1 << 16 {
		if got := wsproto.CloseCode(c).ValidOnWire(); got != valid[c] {
			t.Errorf("%d: %v, want %v", c, got, valid[c])
		}
	}
}

// Each close reason of ours fits its frame.
func TestCloseError(t *testing.T) {
	for _, e := range []*wsproto.CloseError{
		wsproto.ErrNotMasked, wsproto.ErrReservedBits, wsproto.ErrReservedOpCode, wsproto.ErrControlTooLong,
		wsproto.ErrControlFragmented, wsproto.ErrLengthNotMinimal, wsproto.ErrLengthTopBit,
		wsproto.ErrContinuationUnexpected, wsproto.ErrContinuationExpected, wsproto.ErrClosePayload,
		wsproto.ErrCloseCode, wsproto.ErrCloseReason, wsproto.ErrInvalidUTF8, wsproto.ErrInflate,
		wsproto.ErrFrameTooBig, wsproto.ErrMessageTooBig,
	} {
		if !e.Code.ValidOnWire() || len(e.Reason) > 123 || !strings.Contains(e.Error(), e.Reason) {
			t.Errorf("%+v", e)
		}
	}
}
