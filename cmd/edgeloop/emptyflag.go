package main

import (
	"fmt"
	"reflect"

	"github.com/alecthomas/kong"
)

// AfterApply refuses a list that was given and has nothing in it, as --token-issuer=$ISSUER
// has without the variable: it would be as if nobody had asked for the check. An environment
// variable without a value is none (dropEmptyVariables).
func (*cli) AfterApply(ctx *kong.Context) error {
	for _, p := range ctx.Path {
		if p.Flag == nil || !p.Flag.IsSlice() || reflect.ValueOf(ctx.FlagValue(p.Flag)).Len() > 0 {
			continue
		}
		return fmt.Errorf("--%s= is empty: give a value, or leave it out, in the configuration file too", p.Flag.Name)
	}
	return nil
}
