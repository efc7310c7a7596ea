package archive

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
)

// maxNotes bounds the manifest and the reason of a failure, in bytes.
const maxNotes = 1 << 20

// Reader reads a backup. One goroutine uses it.
type Reader struct {
	tar  *tar.Reader
	next *tar.Header // read, and not dealt with; nil: none
	sums map[string]sum

	stream string
	parts  int
	within bool // a part, which next describes
	hash   hash.Hash
	bytes  int64
}

type sum struct {
	bytes  int64
	sha256 string
}

// NewReader reads the backup in r.
func NewReader(r io.Reader) *Reader {
	return &Reader{tar: tar.NewReader(r), sums: make(map[string]sum)}
}

// Next goes to the next snapshot and returns the name of its stream. io.EOF: there is none, and
// Manifest has what was said of them.
func (r *Reader) Next() (stream string, err error) {
	if r.stream != "" {
		if _, err := io.Copy(io.Discard, r); err != nil {
			return "", err
		}
	}
	if err := r.ahead(); err != nil {
		return "", err
	}
	if r.next.Name == manifestName {
		return "", io.EOF
	}
	name, _, ok := strings.Cut(r.next.Name, "/")
	if _, twice := r.sums[name]; !ok || twice {
		return "", &Error{fmt.Sprintf("it has an entry %q in the wrong place", r.next.Name)}
	}
	r.stream, r.parts, r.hash, r.bytes = name, 0, sha256.New(), 0
	return name, nil
}

// ahead reads the header of the next entry.
func (r *Reader) ahead() (err error) {
	if r.next != nil {
		return nil
	}
	r.next, err = r.tar.Next()
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{"it is cut off: its manifest is missing"}
	case err != nil:
		return &Error{"it cannot be read: " + err.Error()}
	case r.next.Name == failureName:
		why, _ := io.ReadAll(io.LimitReader(r.tar, maxNotes)) // what there is
		return &Error{"it was not finished: " + strings.TrimSpace(string(why))}
	}
	return nil
}

// Read gives the bytes of the snapshot that Next went to.
func (r *Reader) Read(b []byte) (int, error) {
	for {
		if more, err := r.open(); err != nil {
			return 0, err
		} else if !more {
			r.sums[r.stream] = sum{r.bytes, hex.EncodeToString(r.hash.Sum(nil))}
			return 0, io.EOF
		}
		n, err := r.tar.Read(b)
		_, _ = r.hash.Write(b[:n]) // never fails
		r.bytes += int64(n)
		switch {
		case errors.Is(err, io.EOF):
			r.next, r.within = nil, false
		case err != nil:
			return n, &Error{"it is cut off: " + err.Error()}
		}
		if n > 0 {
			return n, nil
		}
	}
}

// open goes to the next part of the snapshot, unless it is in one.
func (r *Reader) open() (more bool, err error) {
	if r.within {
		return true, nil
	}
	if err := r.ahead(); err != nil {
		return false, err
	}
	want := fmt.Sprintf("%s/%06d", r.stream, r.parts+1)
	if r.next.Name != want {
		if strings.HasPrefix(r.next.Name, r.stream+"/") {
			return false, &Error{fmt.Sprintf("it has %q where %q should be", r.next.Name, want)}
		}
		return false, nil
	}
	r.parts++
	r.within = true
	return true, nil
}

// Manifest returns what the backup says of itself, after Next returned io.EOF, compared with
// what was read.
func (r *Reader) Manifest() (*Manifest, error) {
	m := new(Manifest)
	if err := json.NewDecoder(io.LimitReader(r.tar, maxNotes)).Decode(m); err != nil {
		return nil, &Error{"it is cut off, or its manifest cannot be read: " + err.Error()}
	}
	if m.Format < 1 || m.Format > Format {
		return nil, &Error{fmt.Sprintf("it has format %d, made by edgeloop %s; this version knows 1 to %d: take a newer one", m.Format, m.By, Format)}
	}
	if len(m.Streams) != len(r.sums) {
		return nil, &Error{fmt.Sprintf("it has %d streams, its manifest names %d", len(r.sums), len(m.Streams))}
	}
	for i := range m.Streams {
		s := &m.Streams[i]
		if is := r.sums[s.Name]; is.bytes != s.Bytes || is.sha256 != s.SHA256 {
			return nil, &Error{fmt.Sprintf("stream %s is not what was written: %d bytes of %d, or other ones", s.Name, is.bytes, s.Bytes)}
		}
	}
	return m, nil
}
