package custody

import (
	"os"
	"path/filepath"
	"testing"
)

// The mark is read back as written, also when a write was cut short: then it is the one
// before.
func TestMark_SurvivesATornWrite(t *testing.T) {
	dir := t.TempDir()
	k, err := openMark(dir, mark{log: "abcdefgh", first: 1}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for last := uint64(1); last <= 5; last++ {
		k.m.last = last
		if err := k.write(); err != nil {
			t.Fatal(err)
		}
	}
	if m, turn, err := readMark(dir); err != nil || m != k.m || turn != k.turn {
		t.Fatalf("read %+v at %d, %v; wrote %+v at %d", m, turn, err, k.m, k.turn)
	}
	b, err := os.ReadFile(filepath.Join(dir, markName))
	if err != nil {
		t.Fatal(err)
	}
	b[int(k.turn%2)*slotEvery+40] ^= 1
	if err := os.WriteFile(filepath.Join(dir, markName), b, 0o600); err != nil {
		t.Fatal(err)
	}
	if m, _, err := readMark(dir); err != nil || m.last != 4 || m.log != "abcdefgh" {
		t.Errorf("after a torn write: %+v, %v", m, err)
	}
}

func TestAllocs_Mark(t *testing.T) {
	k, err := openMark(t.TempDir(), mark{log: "abcdefgh"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { k.m.last++; _ = k.write() }); n > 0 {
		t.Errorf("%v allocations for a mark", n)
	}
}

// What one batch pays.
func BenchmarkMark_Write(b *testing.B) {
	k, err := openMark(b.TempDir(), mark{log: "abcdefgh"}, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		k.m.last++
		if err := k.write(); err != nil {
			b.Fatal(err)
		}
	}
}
