package blocks

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Suffix of a block's file.
const Suffix = ".blk"

// Path returns the file of a block.
func Path(dir string, index uint32) string {
	return filepath.Join(dir, strconv.FormatUint(uint64(index), 10)+Suffix)
}

// Index returns the index of the block that a file of that name holds.
func Index(name string) (uint32, bool) {
	digits, ok := strings.CutSuffix(name, Suffix)
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), err == nil && strconv.FormatUint(n, 10) == digits
}

// List returns the indexes of the blocks in dir, in order.
func List(dir string) ([]uint32, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var list []uint32
	for _, e := range entries {
		if i, ok := Index(e.Name()); ok {
			list = append(list, i)
		}
	}
	slices.Sort(list)
	return list, nil
}
