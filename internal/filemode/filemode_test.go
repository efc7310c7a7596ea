package filemode_test

import (
	"io/fs"
	"os"
	"syscall"
	"testing"
	"time"

	"edgeloop/internal/filemode"
)

// A file is what stat says of one.
type file struct {
	fs.FileInfo
	mode fs.FileMode
	gid  int
}

func (f file) Mode() fs.FileMode  { return f.mode }
func (f file) Sys() any           { return &syscall.Stat_t{Gid: uint32(f.gid)} } //nolint:gosec // a group
func (f file) ModTime() time.Time { return time.Time{} }

// A group of this process may do what it likes with a file, all others may not.
func TestOpen(t *testing.T) {
	ours, theirs := os.Getegid(), 1<<30
	for _, c := range []struct {
		mode fs.FileMode
		gid  int
		want fs.FileMode
	}{
		{0o600, theirs, 0},
		{0o640, theirs, 0},
		{0o660, ours, 0},
		{0o440, ours, 0},
		{0o660, theirs, 0o020},
		{0o664, ours, 0o004},
		{0o666, ours, 0o006},
		{0o606, theirs, 0o006},
	} {
		if got := filemode.Open(file{mode: c.mode, gid: c.gid}, 0o027); got != c.want {
			t.Errorf("%04o of group %d: %04o, want %04o", c.mode, c.gid, got, c.want)
		}
	}
}
