package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"
)

// Root is a machine as the doctor sees it. Tests make their own.
type Root struct {
	// FS is the root of the file system; names have no leading slash.
	FS fs.FS
	// Descriptors returns the soft limit that a process starts with, and the hard limit.
	// Cores is how many cores Go may use.
	Descriptors func() (soft, hard uint64, err error)
	Cores       func() int
	// Free returns the bytes that an ordinary user may still write, and the folder that
	// was checked: dir, or the nearest existing one above it.
	Free func(dir string) (folder string, bytes int64, err error)
	// Sync appends 4 KiB and syncs, n times or until limit has passed, and returns how
	// long each sync took.
	Sync func(dir string, n int, limit time.Duration) ([]time.Duration, error)
	// Clock says whether a time service keeps the clock, and by how much it may be wrong
	// at most.
	Clock func() (synchronised bool, wrong time.Duration, err error)
	// Write sets a file of FS, for sysctls.
	Write func(name, value string) error
}

// text reads a small file and trims white space.
func (r *Root) text(name string) (string, error) {
	b, err := fs.ReadFile(r.FS, name)
	if err != nil {
		return "", plain(err)
	}
	return strings.TrimSpace(string(b)), nil
}

// plain shortens an error for a table: "/proc/x: no such file".
func plain(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return fmt.Errorf("/%s: %w", strings.TrimPrefix(p.Path, "/"), p.Err)
	}
	return err
}

// numbers reads a file of integers; there must be at least n of them.
func (r *Root) numbers(name string, n int) ([]int64, error) {
	s, err := r.text(name)
	if err != nil {
		return nil, err
	}
	var out []int64
	for _, f := range strings.Fields(s) {
		v, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return nil, fmt.Errorf("/%s: %q is not a number", name, f)
		}
		out = append(out, v)
	}
	if len(out) < n {
		return nil, fmt.Errorf("/%s: %q, want %d numbers", name, s, n)
	}
	return out, nil
}

// number reads a file with one integer.
func (r *Root) number(name string) (int64, error) {
	v, err := r.numbers(name, 1)
	if err != nil {
		return 0, err
	}
	return v[0], nil
}

// field finds the text after a name at the start of a line: "MemAvailable: 12 kB".
func (r *Root) field(name, key string) (string, error) {
	s, err := r.text(name)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(s) {
		if rest, ok := strings.CutPrefix(line, key); ok {
			return strings.TrimSpace(rest), nil
		}
	}
	return "", fmt.Errorf("/%s has no %s", name, strings.TrimSuffix(key, ":"))
}

// sysctlFile is the file of a sysctl in Root.FS.
func sysctlFile(name string) string { return "proc/sys/" + strings.ReplaceAll(name, ".", "/") }
