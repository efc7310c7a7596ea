package wsproto_test

import (
	"bytes"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"edgeloop/wsproto"
)

// outcome is what a stream of frames carries: the bytes of its data, its control frames and
// its end.
type outcome struct {
	data, controls, end string
}

// carry decodes the input as a stream, cut at the given places.
func carry(t tb, cfg *wsproto.DecoderConfig, input []byte, cuts ...int) (o outcome) {
	t.Helper()
	d := wsproto.NewStreamDecoder()
	defer d.Release(cfg)
	var data strings.Builder
	defer func() { o.data = data.String() }()
	from := 0
	for _, to := range append(cuts, len(input)) {
		piece := bytes.Clone(input[from:to])
		from = to
		for in := piece; ; {
			ev, n, ok, err := d.Next(cfg, in)
			in = in[n:]
			switch {
			case err != nil:
				o.end = err.Error()
				return o
			case !ok && len(in) > 0:
				t.Errorf("asks for more with %d bytes left", len(in))
				return o
			case ok && ev.Op == wsproto.OpBinary:
				data.Write(ev.Payload)
			case ok:
				o.controls += describe(ev) + "\n"
			}
			if !ok {
				break
			}
		}
		for i := range piece {
			piece[i] = 0xCC
		}
	}
	return o
}

// streamSeeds are inputs with places to cut them at.
var streamSeeds = []struct{ in, seed []byte }{
	{bytes.Join([][]byte{
		frame(ws.OpBinary, false, []byte("ab")), frame(ws.OpPing, true, []byte("?")),
		frame(ws.OpContinuation, false, nil), frame(ws.OpContinuation, true, []byte("cd")),
		frame(ws.OpBinary, true, bytes.Repeat([]byte("x"), 300)), frame(ws.OpClose, true, []byte("\x03\xe8bye")),
	}, nil), []byte{1, 7, 9, 10, 200}},
	{append(frame(ws.OpBinary, true, []byte("a")), frame(ws.OpText, true, []byte("t"))...), nil},
	{frame(ws.OpBinary, true, bytes.Repeat([]byte("y"), 70_000)), []byte{0, 1, 100}},
}

// agreeAsStream: what frames carry does not depend on how they are cut, and is what the
// decoder of messages makes of them, of which it hands out only those that are whole.
// FuzzDecoder asks it of any bytes. [MQTT-6.0.0-2]
func agreeAsStream(t testing.TB, cfg *wsproto.DecoderConfig, in, seed []byte) {
	t.Helper()
	whole := carry(t, cfg, in)
	if split := carry(t, cfg, in, cuts(seed, len(in))...); split != whole {
		t.Fatalf("%x cut at %v\nwhole %q\nsplit %q", in, cuts(seed, len(in)), whole, split)
	}
	d := wsproto.NewDecoder(false)
	defer d.Release(cfg)
	var want outcome
	for rest := bytes.Clone(in); ; {
		ev, n, ok, err := d.Next(cfg, rest)
		if rest = rest[n:]; err != nil {
			want.end = err.Error()
			break
		} else if !ok {
			break
		}
		switch ev.Op {
		case wsproto.OpBinary:
			want.data += string(ev.Payload)
		case wsproto.OpText:
			return // a stream has none
		default:
			want.controls += describe(ev) + "\n"
		}
	}
	if whole.end == wsproto.ErrTextInStream.Error() {
		return
	}
	if !strings.HasPrefix(whole.data, want.data) || whole.controls != want.controls || whole.end != want.end {
		t.Fatalf("%x\ngot  %q\nwant %q", in, whole, want)
	}
}

func TestStream_AnyCut(t *testing.T) {
	cfg := config(t, wsproto.Limits{MaxMessage: wsproto.MaxLimit})
	for _, s := range streamSeeds {
		agreeAsStream(t, cfg, s.in, s.seed)
		for at := range min(len(s.in), 400) {
			agreeAsStream(t, cfg, s.in, []byte{byte(256 * at / len(s.in)), byte(at)})
		}
	}
}

// Text ends a stream, a stream keeps no memory between frames, and takes frames that are
// larger than any message might be.
func TestStream(t *testing.T) {
	cfg := config(t, wsproto.Limits{MaxMessage: 100})
	d := wsproto.NewStreamDecoder()
	long := frame(ws.OpBinary, true, bytes.Repeat([]byte("z"), 5000))
	got := 0
	for _, in := range [][]byte{long[:3], long[3:900], long[900:]} {
		for len(in) > 0 {
			ev, n, _, err := d.Next(cfg, in)
			if err != nil {
				t.Fatal(err)
			}
			in = in[n:]
			got += len(ev.Payload)
		}
	}
	if d.Reclaim(cfg); got != 5000 || !d.Idle() || d.Held() != 0 {
		t.Errorf("%s bytes came, idle %v, %d held", strconv.Itoa(got), d.Idle(), d.Held())
	}
	t.Run("text is a fault of its own", func(t *testing.T) { // [MQTT-6.0.0-1]
		_, _, _, err := d.Next(cfg, frame(ws.OpText, true, []byte("t")))
		if !errors.Is(err, wsproto.ErrTextInStream) || wsproto.ErrTextInStream.Code != wsproto.CloseUnsupported {
			t.Errorf("got %v", err)
		}
	})
}
