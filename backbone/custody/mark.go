package custody

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// mark is what is known of the log outside it.
type mark struct {
	log   string // the log's identity, at most idSize bytes
	first uint64 // the oldest record, as far as retention was seen to have come
	last  uint64 // the newest record that was acknowledged
	clean bool   // the node has stopped in order, and the manifest is of that moment
	lax   bool   // records were acknowledged before they were synced
	boot  string // of the machine, when the mark was written
	place place
}

// place tells a file from a copy of it.
type place struct {
	inode uint64
	born  int64 // Unix nanoseconds; 0: the file system does not say
}

// markFile keeps the mark in two slots that are written in turn, so that one is whole whatever
// happens. A slot lies within a sector and a page: a killed process leaves it as written, a
// loss of power leaves the old or the new one.
type markFile struct {
	// Immutable after construction.
	f *os.File

	// Owned by the writer of the log: one goroutine at a time.
	m    mark
	turn uint64
	slot [slotSize]byte

	// Atomic.
	first atomic.Uint64 // for the next write
	dirty atomic.Bool   // written since the last sync
}

const (
	markName  = "log.mark"
	slotSize  = 128
	slotEvery = 4096
	idSize    = 16
	bootSize  = 36
	markMagic = 0x314b524d4c444745 // "EGDLMRK1"

	flagClean = 1 << 0
	flagLax   = 1 << 1
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errMark says that no slot of a mark file is whole.
var errMark = errors.New("custody: the mark beside the log is damaged")

// readMark reads the mark in dir; fs.ErrNotExist says that there is none.
func readMark(dir string) (mark, uint64, error) {
	b, err := os.ReadFile(filepath.Join(dir, markName))
	if err != nil {
		return mark{}, 0, err
	}
	var best mark
	turn, found := uint64(0), false
	for at := 0; at+slotSize <= len(b); at += slotEvery {
		if m, n, ok := decodeSlot(b[at : at+slotSize]); ok && (!found || n > turn) {
			best, turn, found = m, n, true
		}
	}
	if !found {
		return mark{}, 0, fmt.Errorf("%w: %s", errMark, filepath.Join(dir, markName))
	}
	return best, turn, nil
}

// Marked returns the identity of the log under a data directory, and the positions from its
// first record to the last that was acknowledged. fs.ErrNotExist: nothing is kept of it.
func Marked(dir string) (log string, first, last uint64, err error) {
	m, _, err := readMark(dir)
	if err != nil {
		return "", 0, 0, err
	}
	man, err := readManifest(dir)
	return m.log, max(m.first, man.First), m.last, err
}

func decodeSlot(b []byte) (m mark, turn uint64, ok bool) {
	le := binary.LittleEndian
	if le.Uint64(b) != markMagic || crc32.Checksum(b[:slotSize-4], castagnoli) != le.Uint32(b[slotSize-4:]) {
		return mark{}, 0, false
	}
	flags := b[48]
	return mark{
		first: le.Uint64(b[16:]), last: le.Uint64(b[24:]),
		place: place{inode: le.Uint64(b[32:]), born: int64(le.Uint64(b[40:]))}, //nolint:gosec // as written
		clean: flags&flagClean != 0, lax: flags&flagLax != 0,
		log:  string(bytes.TrimRight(b[52:52+idSize], "\x00")),
		boot: string(bytes.TrimRight(b[68:68+bootSize], "\x00")),
	}, le.Uint64(b[8:]), true
}

func encodeSlot(b *[slotSize]byte, m *mark, turn uint64) {
	le := binary.LittleEndian
	clear(b[:])
	le.PutUint64(b[0:], markMagic)
	le.PutUint64(b[8:], turn)
	le.PutUint64(b[16:], m.first)
	le.PutUint64(b[24:], m.last)
	le.PutUint64(b[32:], m.place.inode)
	le.PutUint64(b[40:], uint64(m.place.born)) //nolint:gosec // read the same way
	if m.clean {
		b[48] |= flagClean
	}
	if m.lax {
		b[48] |= flagLax
	}
	copy(b[52:52+idSize], m.log)
	copy(b[68:68+bootSize], m.boot)
	le.PutUint32(b[slotSize-4:], crc32.Checksum(b[:slotSize-4], castagnoli))
}

// openMark opens the mark in dir for writing and makes it if it is missing.
func openMark(dir string, m mark, turn uint64) (*markFile, error) {
	f, err := os.OpenFile(filepath.Join(dir, markName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	k := &markFile{f: f, m: m, turn: turn}
	k.m.boot = bootID()
	if k.m.place, err = placeOf(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	k.first.Store(m.first)
	// Both slots are written and synced: from here on a write needs no room that a
	// full disk could refuse.
	err = errors.Join(k.write(), k.write(), k.sync(), syncPath(dir))
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return k, nil
}

func (k *markFile) write() error {
	k.turn++
	k.m.first = k.first.Load()
	encodeSlot(&k.slot, &k.m, k.turn)
	_, err := k.f.WriteAt(k.slot[:], int64(k.turn%2)*slotEvery)
	k.dirty.Store(true)
	return err
}

// sync syncs the mark; any goroutine.
func (k *markFile) sync() error {
	if !k.dirty.Swap(false) {
		return nil
	}
	if err := syscall.Fdatasync(int(k.f.Fd())); err != nil {
		k.dirty.Store(true)
		return err
	}
	return nil
}

// placeOf says which file this is.
func placeOf(path string) (place, error) {
	var s unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_SYNC_AS_STAT, unix.STATX_INO|unix.STATX_BTIME, &s)
	if err != nil {
		return place{}, fmt.Errorf("stat %s: %w", path, err)
	}
	p := place{inode: s.Ino}
	if s.Mask&unix.STATX_BTIME != 0 {
		p.born = s.Btime.Sec*1e9 + int64(s.Btime.Nsec)
	}
	return p, nil
}

// copied says whether the file at one place is a copy of that at the other. A file system that
// keeps no time of birth may number files anew at each mount; then copied returns false.
func (p place) copied(to place) bool { return p.born != 0 && to.born != 0 && p != to }

// bootID identifies the present boot of the machine.
func bootID() string {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(b))
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
