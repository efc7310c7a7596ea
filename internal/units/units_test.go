package units_test

import (
	"testing"

	"edgeloop/internal/units"
)

// A size that is written can be read again.
func TestSizeText(t *testing.T) {
	for _, n := range []int64{0, 1, 1023, 1 << 10, 10 << 30, 1<<40 + 1} {
		if got, err := units.Size(units.SizeText(n)); err != nil || got != n {
			t.Errorf("%d is written %s and read %d, %v", n, units.SizeText(n), got, err)
		}
	}
}

// A size for people has three figures or so, in the unit that fits.
func TestAbout(t *testing.T) {
	for n, want := range map[uint64]string{0: "0B", 1023: "1023B", 1536: "1.5KiB", 200 << 10: "200KiB", 42<<20 + 1<<19: "42.5MiB", 3 << 40: "3.0TiB", 5000 << 40: "5000TiB"} {
		if got := units.About(n); got != want {
			t.Errorf("%d is written %s, want %s", n, got, want)
		}
	}
}
