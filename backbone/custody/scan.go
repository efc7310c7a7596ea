package custody

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"edgeloop/backbone/blocks"
)

// found is what a block was found to hold.
type found struct {
	blockInfo
	bad   []badBytes
	holes []span // between its messages
	end   int    // behind the last sound record
	top   uint64 // the highest sequence that it speaks of, that of what was erased too
}

// badBytes is a stretch of a block between two sound records that is not a record.
type badBytes struct {
	from, to int
	after    uint64 // the message before, 0: none
	before   uint64 // the message behind, 0: none
	device   string // what it says it was of
	reason   string
}

// scanner reads blocks, one after another, into the same memory.
type scanner struct {
	stream string
	dir    string // of the blocks
	buf    []byte
	tick   func(bytes int) // called every now and then with what was read since
}

const tickEvery = 64 << 10

// scan reads a whole block. fs.ErrNotExist says that it is gone.
func (s *scanner) scan(index uint32) (*found, error) {
	f, err := os.Open(blocks.Path(s.dir, index))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	b := &found{blockInfo: blockInfo{Index: index, Size: info.Size(), Changed: info.ModTime()}}
	if info.Size() > blocks.MaxBlock {
		b.Bad = true
		b.bad = []badBytes{{to: int(info.Size()), reason: "no block is that long"}}
		return b, nil
	}
	data, err := s.load(f, int(info.Size()))
	if err != nil {
		// The disk cannot read the block back: all of it is bad.
		b.Bad, b.bad = true, []badBytes{{to: int(info.Size()), reason: err.Error()}}
		return b, nil
	}
	s.records(b, data)
	return b, nil
}

func (s *scanner) load(f io.Reader, size int) ([]byte, error) {
	s.buf = slices.Grow(s.buf[:0], size)[:size]
	for at := 0; at < size; {
		n, err := f.Read(s.buf[at:min(at+tickEvery, size)])
		at += n
		s.ticked(n)
		if errors.Is(err, io.EOF) {
			return s.buf[:at], nil
		}
		if err != nil {
			return nil, err
		}
	}
	return s.buf, nil
}

func (s *scanner) ticked(n int) {
	if s.tick != nil {
		s.tick(n)
	}
}

// records notes what data holds.
func (s *scanner) records(b *found, data []byte) {
	hashed := 0
	for r := blocks.NewReader(s.stream, b.Index, data); ; {
		rec, err := r.Next()
		if err != nil {
			var bad *blocks.BadError
			if !errors.As(err, &bad) { // the end
				b.Bad = len(b.bad) > 0
				return
			}
			b.bad = append(b.bad, badBytes{
				from: bad.Offset, to: bad.Next, after: b.Last,
				device: deviceOf(bad.Subject), reason: bad.Reason.String(),
			})
			continue
		}
		if hashed += rec.Size; hashed >= tickEvery {
			s.ticked(0)
			hashed = 0
		}
		b.end, b.top = rec.Offset+rec.Size, max(b.top, rec.Seq)
		if rec.Kind != blocks.Message || rec.Seq <= b.Last {
			continue
		}
		b.message(&rec)
	}
}

func (b *found) message(rec *blocks.Record) {
	if b.First == 0 {
		b.First = rec.Seq
	} else if rec.Seq > b.Last+1 {
		b.holes = append(b.holes, span{b.Last + 1, rec.Seq - 1})
	}
	for i := len(b.bad) - 1; i >= 0 && b.bad[i].before == 0; i-- {
		b.bad[i].before = rec.Seq
	}
	b.Last, b.LastTime = rec.Seq, rec.Time
}

// same says whether a file is as it was when the manifest was written.
func (s *scanner) same(was *blockInfo) (bool, error) {
	info, err := os.Stat(blocks.Path(s.dir, was.Index))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("scan the log: %w", err)
	}
	return info.Size() == was.Size && info.ModTime().Equal(was.Changed), nil
}

// deviceOf returns tenant and device from the subject of a bad record, if it can be read. The
// subject may itself be damaged.
func deviceOf(subject []byte) string {
	const maxShown = 200
	if len(subject) == 0 || len(subject) > maxShown {
		return ""
	}
	for _, c := range subject {
		if c <= ' ' || c >= 0x7f {
			return ""
		}
	}
	return string(subject)
}
