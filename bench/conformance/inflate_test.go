package conformance_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

// inflate decompresses raw DEFLATE (RFC 1951) up to and including the empty
// block that the receiver appends, and fails on a reference further back than
// window. compress/flate cannot say that, and the node uses a relative of it.
func inflate(in []byte, window int) ([]byte, error) {
	z := &inflater{in: in, window: window}
	return z.run()
}

func (z *inflater) run() ([]byte, error) {
	for z.pos < 8*len(z.in) {
		last := z.bits(1)
		var err error
		switch kind := z.bits(2); kind {
		case 0:
			err = z.stored()
		case 1:
			err = z.compressed(fixedLengths())
		case 2:
			err = z.dynamic()
		default:
			err = errors.New("block type 3")
		}
		if err != nil {
			return nil, err
		}
		if z.pos > 8*len(z.in) {
			return nil, io.ErrUnexpectedEOF
		}
		if last == 1 {
			z.pos = (z.pos + 7) &^ 7 // the appended block begins at a byte
		}
	}
	return z.out, nil
}

type inflater struct {
	in         []byte
	pos        int // bits
	out        []byte
	window     int
	sawDynamic bool
}

func (z *inflater) bits(n int) (v int) {
	for i := range n {
		if at := z.pos >> 3; at < len(z.in) {
			v |= int(z.in[at]>>(z.pos&7)&1) << i
		}
		z.pos++
	}
	return v
}

func (z *inflater) stored() error {
	z.pos = (z.pos + 7) &^ 7
	n, inverse := z.bits(16), z.bits(16)
	at := z.pos >> 3
	if n != inverse^0xffff || at+n > len(z.in) {
		return errors.New("a stored block with a wrong length")
	}
	z.out = append(z.out, z.in[at:at+n]...)
	z.pos += 8 * n
	return nil
}

// huffman is a canonical code: how many codes there are of each length, and
// the symbols in the order of their codes.
type huffman struct {
	counts  [16]int
	symbols []int
}

func newHuffman(lengths []int) (h huffman) {
	for n := 1; n < 16; n++ {
		for sym, l := range lengths {
			if l == n {
				h.counts[n]++
				h.symbols = append(h.symbols, sym)
			}
		}
	}
	return h
}

func (z *inflater) symbol(h *huffman) (int, error) {
	code, first, index := 0, 0, 0
	for n := 1; n < 16; n++ {
		code = code<<1 | z.bits(1)
		c := h.counts[n]
		if code-first < c {
			return h.symbols[index+code-first], nil
		}
		index += c
		first = (first + c) << 1
	}
	return 0, errors.New("no such code")
}

func fixedLengths() (lit, dist []int) {
	for i := range 288 {
		switch {
		case i < 144:
			lit = append(lit, 8)
		case i < 256:
			lit = append(lit, 9)
		case i < 280:
			lit = append(lit, 7)
		default:
			lit = append(lit, 8)
		}
	}
	return lit, bytesToInts(strings.Repeat("\x05", 30))
}

func bytesToInts(s string) (v []int) {
	for _, c := range []byte(s) {
		v = append(v, int(c))
	}
	return v
}

func (z *inflater) dynamic() error {
	z.sawDynamic = true
	nlit, ndist, ncode := z.bits(5)+257, z.bits(5)+1, z.bits(4)+4
	order := [19]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
	var lens [19]int
	for _, sym := range order[:ncode] {
		lens[sym] = z.bits(3)
	}
	h := newHuffman(lens[:])
	var all []int
	for len(all) < nlit+ndist {
		sym, err := z.symbol(&h)
		if err != nil {
			return err
		}
		value, times := sym, 1
		switch sym {
		case 16:
			if len(all) == 0 {
				return errors.New("nothing to repeat")
			}
			value, times = all[len(all)-1], 3+z.bits(2)
		case 17:
			value, times = 0, 3+z.bits(3)
		case 18:
			value, times = 0, 11+z.bits(7)
		}
		for range times {
			all = append(all, value)
		}
	}
	return z.compressed(all[:nlit], all[nlit:nlit+ndist])
}

func (z *inflater) compressed(lit, dist []int) error {
	hl, hd := newHuffman(lit), newHuffman(dist)
	for z.pos <= 8*len(z.in) {
		sym, err := z.symbol(&hl)
		switch {
		case err != nil:
			return err
		case sym < 256:
			z.out = append(z.out, byte(sym))
			continue
		case sym == 256:
			return nil
		}
		length := z.length(sym - 257)
		sym, err = z.symbol(&hd)
		if err != nil {
			return err
		}
		back := z.distance(sym)
		if back > len(z.out) || back > z.window {
			return fmt.Errorf("a reference %d bytes back, of %d, with a window of %d", back, len(z.out), z.window)
		}
		for range length {
			z.out = append(z.out, z.out[len(z.out)-back])
		}
	}
	return io.ErrUnexpectedEOF
}

// length and distance are the tables of RFC 1951 3.2.5, which follow a rule.
func (z *inflater) length(i int) int {
	switch {
	case i == 28:
		return 258
	case i < 4:
		return 3 + i
	}
	extra := i/4 - 1
	return 3 + (4+i%4)<<extra + z.bits(extra)
}

func (z *inflater) distance(i int) int {
	if i < 2 {
		return 1 + i
	}
	extra := i/2 - 1
	return 1 + (2+i%2)<<extra + z.bits(extra)
}

// The oracle has an oracle.
func TestInflate_AgainstTheStandardLibrary(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		plain := make([]byte, rnd.IntN(5000))
		for i := range plain {
			plain[i] = byte(rnd.IntN(1 + round%200))
		}
		got, err := inflate(append(deflate(plain, 1+round%9), 0, 0, 0xff, 0xff), 1<<15)
		if err != nil || !bytes.Equal(got, plain) {
			t.Fatalf("round %d: %v", round, err)
		}
	}
	far := append(bytes.Repeat([]byte("abcdefgh"), 1), make([]byte, 1000)...)
	for i := 8; i < len(far); i++ {
		far[i] = byte(rnd.Uint32())
	}
	far = append(far, far[:200]...)
	if _, err := inflate(append(deflate(far, 9), 0, 0, 0xff, 0xff), 512); err == nil {
		t.Error("a reference beyond the window was not noticed")
	}
}

// deflate compresses one message without context, as RFC 7692 7.2.1 says.
func deflate(plain []byte, level int) []byte {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, level)
	if err != nil {
		panic(err)
	}
	if _, err := w.Write(plain); err != nil {
		panic(err)
	}
	if err := w.Flush(); err != nil {
		panic(err)
	}
	return b.Bytes()[:b.Len()-4]
}
