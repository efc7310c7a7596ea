package filemode

import (
	"io/fs"
	"os"
	"slices"
	"syscall"
)

const group = 0o070

// Open are the bits of forbidden that a file has. Those of a group that this process is in
// do not count: whoever gives a file to a service by a group means the service, and
// Kubernetes makes all of a volume with an fsGroup 0660, files that a node made 0600 too.
func Open(info fs.FileInfo, forbidden fs.FileMode) fs.FileMode {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if ok && slices.Contains(groups(), int(stat.Gid)) {
		forbidden &^= group
	}
	return info.Mode().Perm() & forbidden
}

// groups are those of this process.
func groups() []int {
	all, _ := os.Getgroups() // without them the first one counts
	return append(all, os.Getegid())
}
