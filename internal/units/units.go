package units

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

var suffixes = map[string]int64{
	"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
}

var errSize = errors.New("give bytes, or a whole number with B, KiB, MiB, GiB, TiB, kB, MB, GB or TB, as in 10GiB")

// Size reads a number of bytes, as in 10GiB; a plain number is bytes. What is negative is
// read too: the caller knows its range.
func Size(text string) (int64, error) {
	number := strings.TrimRight(text, "BKMGTikbmgt ")
	unit, known := suffixes[strings.TrimSpace(text[len(number):])]
	n, err := strconv.ParseInt(number, 0, 64)
	switch {
	case err != nil || !known:
		return 0, fmt.Errorf("%q is not a size: %w", text, errSize)
	case n > math.MaxInt64/unit || n < math.MinInt64/unit:
		return 0, fmt.Errorf("%s is too large: %w", text, errSize)
	}
	return n * unit, nil
}

var errAge = errors.New("give a time with units, as in 7d, 36h, 90m or 1d12h")

// Age reads what time.ParseDuration does, and whole days and weeks before that.
func Age(text string) (int64, error) {
	rest, sum := text, time.Duration(0)
	for _, unit := range []struct {
		name string
		long time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		number, after, found := strings.Cut(rest, unit.name)
		if !found {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 32)
		if err != nil || time.Duration(n) > math.MaxInt64/unit.long/2 {
			return 0, fmt.Errorf("%q is no age: %w", text, errAge)
		}
		sum, rest = sum+time.Duration(n)*unit.long, after
	}
	if rest == "" && rest != text {
		return int64(sum), nil
	}
	d, err := time.ParseDuration(rest)
	if err != nil || (sum != 0 && d < 0) {
		return 0, fmt.Errorf("%q is no age: %w", text, errAge)
	}
	if sum < 0 {
		d = -d
	}
	return int64(sum + d), nil
}

// SizeText writes a size as it can be given.
func SizeText(n int64) string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if size := suffixes[unit]; n >= size && n%size == 0 {
			return strconv.FormatInt(n/size, 10) + unit
		}
	}
	return strconv.FormatInt(n, 10)
}

// About writes a size in few figures, for people: 1.5KiB, 42MiB.
func About(n uint64) string {
	size, unit := float64(n), "B"
	for _, larger := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if size < 1024 {
			break
		}
		size, unit = size/1024, larger
	}
	if unit == "B" || size >= 100 {
		return strconv.FormatFloat(size, 'f', 0, 64) + unit
	}
	return strconv.FormatFloat(size, 'f', 1, 64) + unit
}
