package main

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"
)

// Sizes and ages with units, on the command line, in the environment and in the
// configuration file: the types "size" and "age" of flags. A plain number is bytes.
// "auto" is 0, which leaves it to the node; "none", or 0, is -1, for flags that know
// them ("size-or-none", "age-or-none").

var unitFlags = kong.OptionFunc(func(k *kong.Kong) error {
	for _, o := range []kong.Option{
		kong.NamedMapper("size", unitMapper(parseSize)),
		kong.NamedMapper("age", unitMapper(parseAge)),
		kong.NamedMapper("size-or-none", unitMapper(orNone(parseSize))),
		kong.NamedMapper("age-or-none", unitMapper(orNone(parseAge))),
	} {
		if err := o.Apply(k); err != nil {
			return err //nolint:wrapcheck // kong's own
		}
	}
	return nil
})

// unitMapper makes a parser of text what kong has for a type of flags.
func unitMapper(parse func(string) (int64, error)) kong.Mapper {
	return kong.MapperFunc(func(ctx *kong.DecodeContext, target reflect.Value) error {
		var text string
		if err := ctx.Scan.PopValueInto("value", &text); err != nil {
			return err //nolint:wrapcheck // kong's own
		}
		n, err := parse(strings.TrimSpace(text))
		if err != nil {
			return err
		}
		if target.OverflowInt(n) {
			return fmt.Errorf("%s is too large", text)
		}
		target.SetInt(n)
		return nil
	})
}

// orNone adds the words.
func orNone(parse func(string) (int64, error)) func(string) (int64, error) {
	return func(text string) (int64, error) {
		switch text {
		case "auto":
			return 0, nil
		case "none":
			return -1, nil
		}
		n, err := parse(text)
		switch {
		case err != nil:
			return 0, fmt.Errorf("%w, auto or none", err)
		case n < 0:
			return 0, fmt.Errorf("%s is negative: give auto, none, or more than 0", text)
		case n == 0:
			return -1, nil
		}
		return n, nil
	}
}

var sizeUnits = map[string]int64{
	"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40,
	"kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12,
}

var errSize = errors.New("give bytes, or a whole number with B, KiB, MiB, GiB, TiB, kB, MB, GB or TB, as in 10GiB")

func parseSize(text string) (int64, error) {
	number := strings.TrimRight(text, "BKMGTikbmgt ")
	unit, known := sizeUnits[strings.TrimSpace(text[len(number):])]
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

// parseAge reads what time.ParseDuration does, and whole days and weeks before that.
func parseAge(text string) (int64, error) {
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

// sizeText writes a size as it can be given.
func sizeText(n int64) string {
	for _, unit := range []string{"TiB", "GiB", "MiB", "KiB"} {
		if size := sizeUnits[unit]; n >= size && n%size == 0 {
			return strconv.FormatInt(n/size, 10) + unit
		}
	}
	return strconv.FormatInt(n, 10)
}
