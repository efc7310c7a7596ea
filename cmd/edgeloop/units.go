package main

import (
	"fmt"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"edgeloop/internal/units"
)

// Sizes and ages with units, on the command line, in the environment and in the
// configuration file: the types "size" and "age" of flags. A plain number is bytes.
// "auto" is 0, which leaves it to the node; "none", or 0, is -1, for flags that know
// them ("size-or-none", "age-or-none").

var unitFlags = kong.OptionFunc(func(k *kong.Kong) error {
	for _, o := range []kong.Option{
		kong.NamedMapper("size", unitMapper(units.Size)),
		kong.NamedMapper("age", unitMapper(units.Age)),
		kong.NamedMapper("size-or-none", unitMapper(orNone(units.Size))),
		kong.NamedMapper("age-or-none", unitMapper(orNone(units.Age))),
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
