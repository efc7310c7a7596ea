package wsproto_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"edgeloop/internal/bytebuf"
	"edgeloop/internal/invariants"
	"edgeloop/wsproto"
)

var update = flag.Bool("update", false, "rewrite the expected events in testdata/*.frames")

// A golden case is what one client sends and what the decoder makes of it:
//
//	== a name that is a sentence [RFC6455 5.1]
//	compression message=1000 frame=500
//	81 85 00000000 "Hello" 200*61
//	--
//	text "Hello…"
//
// The line of options may be missing. Bytes are hex, quoted strings and
// N*hex repetitions, over any number of lines. What follows the -- is written
// by -update; the last line says how it ended.
type golden struct {
	name  string
	body  []string // everything between name and --
	want  []string
	input []byte

	limits      wsproto.Limits
	compression bool
}

// tb is what a test, a fuzz target and a property check have in common.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatal(args ...any)
}

// loadGolden reads all cases of one file, with its leading comment.
func loadGolden(t tb, path string) (comment string, cases []*golden) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split("\n"+string(text), "\n== ")
	for _, block := range blocks[1:] {
		head, want, _ := strings.Cut(block, "\n--\n")
		lines := strings.Split(strings.TrimSpace(head), "\n")
		g := &golden{name: lines[0], body: lines[1:], want: strings.Split(strings.TrimSpace(want), "\n")}
		for _, line := range g.body {
			if err := g.parse(line); err != nil {
				t.Fatal(path, g.name, err)
			}
		}
		cases = append(cases, g)
	}
	return strings.TrimSpace(blocks[0]), cases
}

// parse reads one line of options or bytes.
func (g *golden) parse(line string) error {
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimSpace(line) {
		if line[0] == '"' {
			quoted, err := strconv.QuotedPrefix(line)
			if err != nil {
				return err
			}
			s, err := strconv.Unquote(quoted)
			if err != nil {
				return err
			}
			g.input, line = append(g.input, s...), line[len(quoted):]
			continue
		}
		word, rest, _ := strings.Cut(line, " ")
		line = rest
		option, value, _ := strings.Cut(word, "=")
		var err error
		switch option {
		case "compression":
			g.compression = true
		case "message":
			g.limits.MaxMessage, err = strconv.Atoi(value)
		case "frame":
			g.limits.MaxFrame, err = strconv.Atoi(value)
		default:
			err = g.bytes(word)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (g *golden) bytes(word string) error {
	count := 1
	if n, digits, ok := strings.Cut(word, "*"); ok {
		var err error
		if count, err = strconv.Atoi(n); err != nil {
			return err
		}
		word = digits
	}
	b, err := hex.DecodeString(word)
	g.input = append(g.input, bytes.Repeat(b, count)...)
	return err
}

func (g *golden) config(t tb) *wsproto.DecoderConfig {
	t.Helper()
	cfg, err := wsproto.NewDecoderConfig(g.limits, new(bytebuf.Pool))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// run decodes the input cut at the given places, and describes what came out.
func (g *golden) run(t tb, cfg *wsproto.DecoderConfig, cuts ...int) []string {
	t.Helper()
	d := wsproto.NewDecoder(g.compression)
	defer d.Release(cfg)
	return decode(t, &d, cfg, g.input, cuts...)
}

// decode feeds input to d in pieces. Each piece is a fresh array that is
// overwritten when its events were seen, as a read buffer would be.
func decode(t tb, d *wsproto.Decoder, cfg *wsproto.DecoderConfig, input []byte, cuts ...int) (out []string) {
	t.Helper()
	from := 0
	for _, to := range append(cuts, len(input)) {
		piece := bytes.Clone(input[from:to])
		from = to
		for in := piece; ; {
			ev, n, ok, err := d.Next(cfg, in)
			if err != nil {
				_, _, ok, again := d.Next(cfg, in)
				if ok || !errors.Is(again, wsproto.ErrClosed) || !d.Idle() {
					t.Errorf("after the end: ok %v, err %v, idle %v", ok, again, d.Idle())
				}
				return append(out, "error "+err.Error())
			}
			if !ok {
				if n != len(in) {
					t.Errorf("asks for more with %d of %d bytes used", n, len(in))
				}
				break
			}
			out = append(out, describe(ev))
			in = in[n:]
		}
		invariants.Mangle(piece)
		for i := range piece {
			piece[i] = 0xCC
		}
	}
	if d.Idle() {
		return append(out, "idle")
	}
	return append(out, "needs more")
}

func describe(ev wsproto.Event) string {
	payload := strconv.Quote(string(ev.Payload))
	if len(ev.Payload) > 64 {
		payload = fmt.Sprintf("%d bytes, crc32 %08x", len(ev.Payload), crc32.ChecksumIEEE(ev.Payload))
	}
	switch ev.Op {
	case wsproto.OpText:
		return "text " + payload
	case wsproto.OpBinary:
		return "binary " + payload
	case wsproto.OpPing:
		return "ping " + payload
	case wsproto.OpPong:
		return "pong " + payload
	case wsproto.OpClose:
		return fmt.Sprintf("close %d %s", ev.Code, payload)
	}
	return fmt.Sprintf("opcode %d %s", ev.Op, payload)
}

// eachGolden calls fn for every case of every file.
func eachGolden(t *testing.T, fn func(t *testing.T, g *golden)) {
	paths, err := filepath.Glob("testdata/*.frames")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".frames"), func(t *testing.T) {
			_, cases := loadGolden(t, path)
			for _, g := range cases {
				t.Run(g.name, func(t *testing.T) { fn(t, g) })
			}
		})
	}
}

// What a server makes of what clients send. The files are the list of what is
// accepted, and of what is refused with which code.
func TestDecoder_Golden(t *testing.T) {
	if *update {
		updateGolden(t)
	}
	eachGolden(t, func(t *testing.T, g *golden) {
		got := g.run(t, g.config(t))
		if strings.Join(got, "\n") != strings.Join(g.want, "\n") {
			t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(g.want, "\n"))
		}
	})
}

func updateGolden(t *testing.T) {
	t.Helper()
	paths, err := filepath.Glob("testdata/*.frames")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		comment, cases := loadGolden(t, path)
		out := []string{comment}
		for _, g := range cases {
			out = append(out, "\n== "+g.name)
			out = append(out, g.body...)
			out = append(out, "--")
			out = append(out, g.run(t, g.config(t))...)
		}
		if err := os.WriteFile(path, []byte(strings.Join(out, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
