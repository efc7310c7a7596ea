package archive

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"time"
)

// Writer writes a backup. One goroutine uses it.
type Writer struct {
	tar  *tar.Writer
	made time.Time
	man  Manifest

	stream string
	sum    hash.Hash
	bytes  int64
	parts  int
	buf    []byte // of the part at hand
}

// NewWriter begins a backup. m gives By, Node, Made, Log and Durable.
func NewWriter(w io.Writer, m Manifest) *Writer {
	m.Format, m.Streams = Format, nil
	return &Writer{tar: tar.NewWriter(w), made: m.Made, man: m, buf: make([]byte, 0, partSize)}
}

// Begin begins the snapshot of a stream; Write takes it, and End ends it.
func (w *Writer) Begin(stream string) {
	w.stream, w.sum, w.bytes, w.parts = stream, sha256.New(), 0, 0
}

// Write takes the next bytes of the snapshot. b is borrowed until it returns.
func (w *Writer) Write(b []byte) (int, error) {
	whole := len(b)
	for len(b) > 0 {
		n := min(len(b), partSize-len(w.buf))
		w.buf, b = append(w.buf, b[:n]...), b[n:]
		if len(w.buf) == partSize {
			if err := w.part(); err != nil {
				return 0, err
			}
		}
	}
	return whole, nil
}

func (w *Writer) part() error {
	if len(w.buf) == 0 {
		return nil
	}
	w.parts++
	_, _ = w.sum.Write(w.buf) // never fails
	w.bytes += int64(len(w.buf))
	err := w.entry(fmt.Sprintf("%s/%06d", w.stream, w.parts), w.buf)
	w.buf = w.buf[:0]
	return err
}

// End ends the snapshot. s says Config, State and what is in it.
func (w *Writer) End(s Stream) error {
	if err := w.part(); err != nil {
		return err
	}
	s.Name, s.Bytes, s.SHA256 = w.stream, w.bytes, hex.EncodeToString(w.sum.Sum(nil))
	w.man.Streams = append(w.man.Streams, s)
	return nil
}

// Close writes the manifest, which makes it a backup.
func (w *Writer) Close() error {
	b, err := json.MarshalIndent(w.man, "", "  ")
	if err == nil {
		err = w.entry(manifestName, append(b, '\n'))
	}
	if err != nil {
		return err
	}
	return w.tar.Close()
}

// Fail ends a backup that failed, with the reason, for whoever reads it.
func (w *Writer) Fail(reason string) error {
	if err := w.entry(failureName, []byte(reason+"\n")); err != nil {
		return err
	}
	return w.tar.Close()
}

func (w *Writer) entry(name string, b []byte) error {
	err := w.tar.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(b)), ModTime: w.made, Format: tar.FormatPAX})
	if err == nil {
		_, err = w.tar.Write(b)
	}
	return err
}
