package custody

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// manifest is what is known of the log's blocks outside them. It is written at the
// start, by the watch, the patrol and a trim, and at an orderly stop.
type manifest struct {
	Format int    `json:"format,omitempty"` // of the data directory; 0: 1
	Log    string `json:"log"`
	// The retention in force.
	MaxBytes int64         `json:"max_bytes"`
	MaxAge   time.Duration `json:"max_age_ns"`
	Blocks   []blockInfo   `json:"blocks"`
	// First is where the log begins since somebody trimmed it; 0: nobody has.
	First uint64 `json:"first,omitempty"`
	// Gaps lists the positions known to be lost, whether decided about or not.
	Gaps []span `json:"gaps,omitempty"`
	// Streams lists the other streams that existed.
	Streams []string `json:"streams,omitempty"`
}

// blockInfo is what a block held when it was looked at.
type blockInfo struct {
	Index    uint32    `json:"index"`
	Size     int64     `json:"size"`
	Changed  time.Time `json:"changed"` // the file's modification time
	First    uint64    `json:"first"`   // 0: no message
	Last     uint64    `json:"last"`
	LastTime int64     `json:"last_time"` // of its last message, Unix nanoseconds
	Bad      bool      `json:"bad,omitempty"`
}

const manifestName = "log.blocks.json"

// Format is the number of the format of a data directory. It grows when an older program
// could not read one any more, or would lose something of it; a newer one reads all older
// formats.
const Format = 1

// ErrNewer says that a newer version has written a data directory.
var ErrNewer = errors.New("custody: the data directory was written by a newer version of edgeloop")

func readManifest(dir string) (m manifest, err error) {
	b, err := os.ReadFile(filepath.Join(dir, manifestName))
	if errors.Is(err, fs.ErrNotExist) {
		return m, nil
	}
	if err != nil {
		return m, err
	}
	if json.Unmarshal(b, &m) != nil {
		return manifest{}, nil // it is made again; only an orderly stop relies on it, see check
	}
	if m.Format > Format {
		return manifest{}, fmt.Errorf("%w: it has format %d, this version knows 1 to %d; start the newer one, or restore a backup that this one can read", ErrNewer, m.Format, Format)
	}
	return m, nil
}

func (m *manifest) write(dir string) error {
	m.Format = Format
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(dir, manifestName), b)
}

// replaceFile writes a file whole or not at all, and syncs it.
func replaceFile(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncPath(filepath.Dir(path))
}

// block returns what is known of a block, or nil.
func (m *manifest) block(index uint32) *blockInfo {
	if i, ok := slices.BinarySearchFunc(m.Blocks, index, func(b blockInfo, i uint32) int { return int(b.Index) - int(i) }); ok {
		return &m.Blocks[i]
	}
	return nil
}

// put notes what a block holds.
func (m *manifest) put(b blockInfo) {
	i, ok := slices.BinarySearchFunc(m.Blocks, b.Index, func(b blockInfo, i uint32) int { return int(b.Index) - int(i) })
	if ok {
		m.Blocks[i] = b
	} else {
		m.Blocks = slices.Insert(m.Blocks, i, b)
	}
}

// addGaps notes positions as lost, in order and joined.
func (m *manifest) addGaps(spans ...span) {
	all := slices.Concat(m.Gaps, spans)
	slices.SortFunc(all, func(a, b span) int {
		switch {
		case a.From < b.From:
			return -1
		case a.From > b.From:
			return 1
		}
		return 0
	})
	var joined []span
	for _, s := range all {
		if n := len(joined); n > 0 && s.From <= joined[n-1].To+1 {
			joined[n-1].To = max(joined[n-1].To, s.To)
			continue
		}
		joined = append(joined, s)
	}
	m.Gaps = joined
}
