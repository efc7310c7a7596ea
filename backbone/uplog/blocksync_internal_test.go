package uplog

import (
	"os"
	"path/filepath"
	"testing"
)

// The store writes on while a block is synced, and begins the next one. What it
// wrote to the old one meanwhile must not be passed over because the new one has
// grown by more than was asked for.
func TestBlockSync_TheNextBlockHidesNothing(t *testing.T) {
	dir := t.TempDir()
	size, synced := map[string]int64{}, map[string]int64{}
	write := func(name string, n int) {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		if _, err := f.Write(make([]byte, n)); err != nil {
			t.Fatal(err)
		}
		size[name] += int64(n)
	}
	s := newBlockSync(dir)
	defer func() { _ = s.close() }()
	write("1.blk", 10)
	if err := s.sync(10); err != nil {
		t.Fatal(err)
	}
	write("1.blk", 10)
	during := func() {
		write("1.blk", 10)
		write("2.blk", 100)
	}
	s.flush = func(f *os.File) error {
		name := filepath.Base(f.Name())
		synced[name] = size[name]
		if during != nil {
			during()
			during = nil
		}
		return nil
	}
	for _, n := range []int64{10, 110} {
		if err := s.sync(n); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range size {
		if synced[name] != want {
			t.Errorf("%s: %d of %d bytes are synced", name, synced[name], want)
		}
	}
}
