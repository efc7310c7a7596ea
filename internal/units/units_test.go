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
