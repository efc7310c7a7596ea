package outlets

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Files is a directory that a sink writes to.
type Files struct {
	never
	name, dir string
}

// NewFiles is the outlet of a sink's name with a directory.
func NewFiles(name, dir string) *Files { return &Files{name: name, dir: dir} }

// Name implements Outlet.
func (f *Files) Name() string { return f.name }

// Keys implements Outlet.
func (f *Files) Keys() string {
	return fmt.Sprintf("type: file, dir: %s, min_free: 0", f.dir)
}

// Away takes the directory away and leaves a file in its place; what the sink has open it may
// still write to.
func (f *Files) Away() error {
	return errors.Join(os.Rename(f.dir, f.dir+".away"), os.WriteFile(f.dir, nil, 0o600))
}

// Back undoes Away.
func (f *Files) Back() error { return errors.Join(os.Remove(f.dir), os.Rename(f.dir+".away", f.dir)) }

// Tear appends half a line to the file that grows, as a node that was killed may leave it.
func (f *Files) Tear() error {
	file, err := os.OpenFile(f.Growing(), os.O_WRONLY|os.O_APPEND, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil // it was killed as it gave that file its last name
	case err != nil:
		return err
	}
	_, err = file.WriteString(`{"tenant":"default","device":"d0`)
	return errors.Join(err, file.Close())
}

// Growing is the path of the file that grows.
func (f *Files) Growing() string { return filepath.Join(f.dir, "records.part") }

// Read implements Outlet. The file that was written last has the latest records.
func (f *Files) Read(_ context.Context, each func(at time.Time, line []byte) error) error {
	entries, err := os.ReadDir(f.dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var files []fs.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return err
		}
		if !strings.HasSuffix(info.Name(), ".packing") {
			files = append(files, info)
		}
	}
	slices.SortStableFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	for _, info := range files {
		b, err := content(filepath.Join(f.dir, info.Name()))
		if err != nil {
			return err
		}
		if err := eachLine(info.Name(), b, func(line []byte) error { return each(time.Time{}, line) }); err != nil {
			return err
		}
	}
	return nil
}

func content(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if err != nil || !strings.HasSuffix(path, ".gz") {
		return b, err
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return io.ReadAll(z)
}

// Close implements Outlet.
func (f *Files) Close() {}
