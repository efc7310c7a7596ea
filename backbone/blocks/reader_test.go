package blocks_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/blocks"
	"edgeloop/backbone/natstest"
)

const stream = "LOG"

// withStore runs f on the stream of a server that keeps its files in dir, and stops it.
func withStore(t testing.TB, dir string, f func(s jetstream.Stream, js jetstream.JetStream)) {
	t.Helper()
	natstest.WithStream(t, dir, stream, f)
}

func msgs(dir string) string { return filepath.Join(dir, "jetstream", "$G", "streams", stream, "msgs") }

// write stores n messages, every third with a header.
func write(t testing.TB, js jetstream.JetStream, n int) {
	t.Helper()
	for i := range n {
		m := nats.NewMsg(fmt.Sprintf("up.default.d%d", i%3))
		m.Data = fmt.Appendf(nil, `{"n":%d}`, i)
		if i%3 == 0 {
			m.Header.Set("X-N", fmt.Sprint(i))
		}
		if _, err := js.PublishMsg(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

func block(t testing.TB, dir string) []byte {
	t.Helper()
	b, err := os.ReadFile(blocks.Path(msgs(dir), 1))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// read gives the sequences of the messages, what was bad, and how many records are
// none.
func read(b []byte) (seqs []uint64, bad []*blocks.BadError, gone int) {
	for r := blocks.NewReader(stream, 1, b); ; {
		rec, err := r.Next()
		var e *blocks.BadError
		switch {
		case errors.Is(err, io.EOF):
			return seqs, bad, gone
		case errors.As(err, &e):
			bad = append(bad, e)
		case rec.Kind != blocks.Message:
			gone++
		default:
			seqs = append(seqs, rec.Seq)
		}
	}
}

// What the store has written is read as it was written: sequence, subject, header,
// message, and what was deleted.
func TestReader_ReadsTheRealStore(t *testing.T) {
	dir := t.TempDir()
	withStore(t, dir, func(s jetstream.Stream, js jetstream.JetStream) {
		write(t, js, 9)
		if err := s.DeleteMsg(t.Context(), 4); err != nil {
			t.Fatal(err)
		}
		if err := s.SecureDeleteMsg(t.Context(), 6); err != nil {
			t.Fatal(err)
		}
	})
	b := block(t, dir)
	seqs, bad, gone := read(b)
	if len(bad) > 0 || gone < 2 || fmt.Sprint(seqs) != "[1 2 3 4 5 7 8 9]" {
		t.Errorf("messages %v, bad %v, %d erased or tombstones", seqs, bad, gone)
	}
	rec, err := blocks.NewReader(stream, 1, b).Next()
	if err != nil || string(rec.Subject) != "up.default.d0" || string(rec.Data) != `{"n":0}` ||
		!bytes.Contains(rec.Header, []byte("X-N: 0")) || time.Since(time.Unix(0, rec.Time)) > time.Minute {
		t.Errorf("first record %+v, %v", rec, err)
	}
	if list, err := blocks.List(msgs(dir)); err != nil || fmt.Sprint(list) != "[1]" {
		t.Errorf("blocks %v, %v", list, err)
	}
	meta, err := os.ReadFile(filepath.Join(msgs(dir), "..", "meta.inf"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(msgs(dir), "..", "meta.sum"))
	if err != nil || string(sum) != blocks.MetaSum(stream, meta) {
		t.Errorf("meta.sum is %s, computed %s, %v", sum, blocks.MetaSum(stream, meta), err)
	}
}

// Whichever bit of a block flips, it is noticed, and only the one record is bad that
// it is part of.
func TestReader_NoticesEachFlippedBit(t *testing.T) {
	dir := t.TempDir()
	withStore(t, dir, func(_ jetstream.Stream, js jetstream.JetStream) { write(t, js, 6) })
	b := block(t, dir)
	subjectLengths := 0
	for bit := range 8 * len(b) {
		harmed := bytes.Clone(b)
		harmed[bit/8] ^= 1 << (bit % 8)
		seqs, bad, _ := read(harmed)
		if len(bad) == 0 && len(seqs) == 6 {
			// The length of a subject is under no checksum; where there is no header
			// it only moves bytes from the subject to the message.
			subjectLengths++
			continue
		}
		if len(bad) != 1 || len(seqs) != 5 {
			t.Fatalf("bit %d of byte %d: messages %v, bad %v", bit%8, bit/8, seqs, bad)
		}
	}
	if most := 4 * 16; subjectLengths > most {
		t.Errorf("%d flipped bits went unnoticed, more than %d", subjectLengths, most)
	}
}

// A block that is cut off anywhere gives every record before the cut.
func TestReader_GivesAllBeforeACut(t *testing.T) {
	dir := t.TempDir()
	withStore(t, dir, func(_ jetstream.Stream, js jetstream.JetStream) { write(t, js, 4) })
	b := block(t, dir)
	ends := map[int]int{0: 0}
	for r, n := blocks.NewReader(stream, 1, b), 1; ; n++ {
		rec, err := r.Next()
		if err != nil {
			break
		}
		ends[rec.Offset+rec.Size] = n
	}
	whole := 0
	for cut := range len(b) {
		n, clean := ends[cut]
		if clean {
			whole = n
		}
		seqs, bad, _ := read(b[:cut])
		if len(seqs) != whole || (len(bad) == 0) != clean {
			t.Fatalf("cut at %d: messages %v, bad %v, want %d", cut, seqs, bad, whole)
		}
	}
}

// With an erased record in the place of a bad one, the store keeps all the others:
// left to itself it cuts them off.
func TestAppendErased_KeepsTheRecordsBehind(t *testing.T) {
	dir := t.TempDir()
	withStore(t, dir, func(_ jetstream.Stream, js jetstream.JetStream) { write(t, js, 9) })
	b := block(t, dir)
	_, bad, _ := read(append(bytes.Clone(b[:len(b)/2]), append([]byte{b[len(b)/2] ^ 1}, b[len(b)/2+1:]...)...))
	if len(bad) != 1 || !bad[0].Whole {
		t.Fatalf("bad %v", bad)
	}
	healed := append(bytes.Clone(b[:bad[0].Offset]), blocks.AppendErased(nil, stream, 1, bad[0].Seq, bad[0].Next-bad[0].Offset)...)
	healed = append(healed, b[bad[0].Next:]...)
	if err := os.WriteFile(blocks.Path(msgs(dir), 1), healed, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(msgs(dir), "index.db")); err != nil { // as after kill -9
		t.Fatal(err)
	}
	withStore(t, dir, func(s jetstream.Stream, _ jetstream.JetStream) {
		info, err := s.Info(t.Context(), jetstream.WithDeletedDetails(true))
		if err != nil || info.State.Msgs != 8 || info.State.LastSeq != 9 || len(info.State.Deleted) != 1 || info.State.Deleted[0] != bad[0].Seq {
			t.Errorf("state %+v, %v; record %d was bad", info.State, err, bad[0].Seq)
		}
	})
}

// Whatever a block holds, reading it ends, stays within it, and goes forward.
func FuzzReader(f *testing.F) {
	dir := f.TempDir()
	withStore(f, dir, func(_ jetstream.Stream, js jetstream.JetStream) { write(f, js, 5) })
	b := block(f, dir)
	f.Add(b)
	f.Add(b[:len(b)-3])
	f.Add(append(bytes.Clone(b), make([]byte, 100)...))
	f.Add(append(bytes.Clone(b[10:]), b...))
	f.Fuzz(func(t *testing.T, b []byte) {
		at, gap := 0, false
		for r := blocks.NewReader(stream, 1, b); ; {
			rec, err := r.Next()
			var bad *blocks.BadError
			switch {
			case errors.Is(err, io.EOF):
				if at != len(b) {
					t.Fatalf("ends at %d of %d", at, len(b))
				}
				return
			case errors.As(err, &bad):
				if gap && !bad.Whole || bad.Offset != at || bad.Next <= at || bad.Next > len(b) {
					t.Fatalf("bad %+v at %d", bad, at)
				}
				at, gap = bad.Next, !bad.Whole
			case err != nil:
				t.Fatal(err)
			default:
				if rec.Offset != at || rec.Size < blocks.MinSize || at+rec.Size > len(b) {
					t.Fatalf("record %+v at %d", rec, at)
				}
				at, gap = at+rec.Size, false
			}
		}
	})
}
