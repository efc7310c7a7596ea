package filemode

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// Stamp changes when one of the files does, or who may read it, or when another file has
// taken its name. "" stands for no file.
func Stamp(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		if name == "" {
			continue
		}
		if info, err := os.Stat(name); err != nil {
			b.WriteString("-;")
		} else {
			inode := uint64(0)
			if stat, ok := info.Sys().(*syscall.Stat_t); ok {
				inode = stat.Ino
			}
			fmt.Fprintf(&b, "%d,%d,%d,%o;", inode, info.Size(), info.ModTime().UnixNano(), info.Mode())
		}
	}
	return b.String()
}
