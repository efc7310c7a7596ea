package file

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"edgeloop/internal/units"
	"edgeloop/sink"
	"edgeloop/sink/keys"
)

// files is a directory with one file that grows.
type files struct {
	// Immutable after construction.
	dir, name string
	format    sink.Format
	packing   packing
	size      int64
	age       time.Duration
	minFree   int64

	// Owned by who sends.
	open  *os.File // nil before the first record, and after an error
	bytes int64    // in open
	first string   // position of its first record
	began time.Time
	buf   []byte
}

// New makes the destination of its keys.
func New(m *keys.Map) sink.Destination {
	f := &files{
		dir:     m.Needed("dir", "/var/lib/edgeloop/out"),
		name:    m.Text("file", "records"),
		size:    m.Size("max_size", 64<<20, 4<<10, 1<<40),
		age:     m.Time("max_age", time.Hour, time.Second, 365*24*time.Hour),
		minFree: m.Size("min_free", 256<<20, 0, 1<<50),
		format:  sink.ReadFormat(m, sink.FormRecord, sink.FormCloudEvent),
	}
	if !f.format.Positions() {
		m.Fail("fields", "has no position, by which files are named: give {position: position} with the others")
	}
	if f.name == "" || f.name != filepath.Base(f.name) || f.name[0] == '.' {
		m.Fail("file", "%q: give the name of a file without a directory and without an ending", f.name)
	}
	switch zip, zst := m.Flag("gzip", false), m.Flag("zstd", false); {
	case zip && zst:
		m.Fail("gzip", "is there with zstd: leave one out")
	case zip:
		f.packing = packing{".gz", func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }}
	case zst:
		f.packing = packing{".zst", func(w io.Writer) (io.WriteCloser, error) { return newZstd(w) }}
	}
	return f
}

// packing is how a file is compressed when it gets its last name; the zero value is not at all.
type packing struct {
	ending string
	to     func(io.Writer) (io.WriteCloser, error)
}

// newZstd compresses on the goroutine of the caller alone.
func newZstd(w io.Writer) (*zstd.Encoder, error) {
	return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
}

func (f *files) partPath() string { return filepath.Join(f.dir, f.name+".part") }

// Send implements sink.Destination.
func (f *files) Send(_ context.Context, records []sink.Record) (int, error) {
	if err := f.ready(); err != nil {
		return 0, err
	}
	if f.bytes > 0 && (f.bytes >= f.size || time.Since(f.began) >= f.age) {
		if err := f.rotate(); err != nil {
			return 0, err
		}
		if err := f.ready(); err != nil {
			return 0, err
		}
	}
	if f.bytes == 0 {
		f.first, f.began = records[0].ID(), time.Now()
	}
	f.buf = f.buf[:0]
	for i := range records {
		f.buf, _ = f.format.Append(f.buf, &records[i])
		f.buf = append(f.buf, '\n')
	}
	n, err := f.open.Write(f.buf)
	f.bytes += int64(n)
	if err == nil {
		err = f.open.Sync()
	}
	if err != nil {
		return 0, errors.Join(err, f.Close(context.Background())) // what is half written is cut off at the next opening
	}
	return len(records), nil
}

// ready has a file open to write to, on a disk with room.
func (f *files) ready() error {
	if f.open == nil {
		if err := f.begin(); err != nil {
			return err
		}
	}
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.open.Fd()), &fs); err != nil {
		return fmt.Errorf("look at the disk of %s: %w", f.dir, err)
	}
	if free := int64(fs.Bavail) * fs.Bsize; free < f.minFree { //nolint:gosec // blocks of a disk
		return fmt.Errorf("the disk of %s has %s free, less than min_free (%s): make room",
			f.dir, units.SizeText(free), units.SizeText(f.minFree))
	}
	return nil
}

// begin opens the file that grows, and cuts off what a crash has left half written.
func (f *files) begin() (err error) {
	if err = os.MkdirAll(f.dir, 0o750); err != nil {
		return err
	}
	file, err := os.OpenFile(f.partPath(), os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			file.Close()
		}
	}()
	if err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("%s is in use: give each sink a dir or a file of its own: %w", f.partPath(), err)
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	whole, err := wholeLines(file, info.Size())
	if err != nil {
		return err
	}
	if err = file.Truncate(whole); err != nil {
		return err
	}
	if _, err = file.Seek(whole, io.SeekStart); err != nil {
		return err
	}
	f.first, f.began = "", info.ModTime()
	if whole > 0 {
		if f.first, err = firstPosition(file); err != nil {
			return err
		}
	}
	f.open, f.bytes = file, whole
	return syncDir(f.dir)
}

// wholeLines is how much of a file of a size is whole lines.
func wholeLines(r io.ReaderAt, size int64) (int64, error) {
	chunk := make([]byte, 64<<10)
	for end := size; end > 0; {
		from := max(0, end-int64(len(chunk)))
		b := chunk[:end-from]
		if _, err := r.ReadAt(b, from); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			return from + int64(i) + 1, nil
		}
		end = from
	}
	return 0, nil
}

// Close implements sink.Destination.
func (f *files) Close(context.Context) error {
	if f.open == nil {
		return nil
	}
	err := f.open.Close()
	f.open = nil
	return err
}
