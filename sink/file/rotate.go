package file

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// rotate gives the file that grew its last name. All of it is synced already, so a crash
// at any point leaves NAME.part, or the file with its last name, or both.
func (f *files) rotate() error {
	last := filepath.Join(f.dir, fmt.Sprintf("%s-%s-%s.ndjson", f.name, f.began.UTC().Format("20060102T150405Z"), f.first))
	if err := errors.Join(f.open.Close(), f.moved(last)); err != nil {
		f.open = nil
		return fmt.Errorf("give %s its last name: %w", f.partPath(), err)
	}
	f.open = nil
	return syncDir(f.dir)
}

func (f *files) moved(last string) error {
	if f.packing.to == nil {
		return os.Rename(f.partPath(), last)
	}
	half := filepath.Join(f.dir, f.name+".packing")
	if err := f.packing.pack(f.partPath(), half); err != nil {
		return err
	}
	if err := os.Rename(half, last+f.packing.ending); err != nil {
		return err
	}
	if err := syncDir(f.dir); err != nil {
		return err
	}
	return os.Remove(f.partPath())
}

// pack compresses a file into another one, synced.
func (p packing) pack(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	z, err := p.to(out)
	if err != nil {
		return err
	}
	if _, err := io.Copy(z, in); err != nil {
		return errors.Join(err, z.Close())
	}
	if err := z.Close(); err != nil {
		return err
	}
	return out.Sync()
}

// firstPosition reads the position of the first line.
func firstPosition(file io.ReaderAt) (string, error) {
	line, err := bufio.NewReader(io.NewSectionReader(file, 0, 1<<62)).ReadBytes('\n')
	if err != nil {
		return "", err
	}
	var r struct {
		Position string `json:"position"`
		ID       any    `json:"id"` // of a CloudEvent
	}
	err = json.Unmarshal(line, &r)
	if id, is := r.ID.(string); is && r.Position == "" {
		r.Position = id
	}
	if err != nil || r.Position == "" || r.Position != filepath.Base(r.Position) {
		return "", fmt.Errorf("the file that grows is not one of this sink: move it away: %w", errors.Join(err, errNoPosition))
	}
	return r.Position, nil
}

var errNoPosition = errors.New("its first line has no position")

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
