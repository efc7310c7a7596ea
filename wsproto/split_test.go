package wsproto_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TCP cuts a stream where it likes. Whatever the cuts, a client's bytes mean
// the same: the same events in the same order, the same end.
func TestDecoder_SplitInvariance(t *testing.T) {
	eachGolden(t, func(t *testing.T, g *golden) {
		cfg := g.config(t)
		whole := g.run(t, cfg)
		check := func(t tb, got []string, cuts []int) {
			if !slices.Equal(got, whole) {
				t.Errorf("cut at %v:\ngot  %q\nwant %q", cuts, got, whole)
			}
		}

		// Every single cut, or those near the ends of a long input, where the headers are.
		const near = 300
		for at := 1; at < len(g.input); at++ {
			if at == near {
				at = max(at, len(g.input)-near)
			}
			check(t, g.run(t, cfg, at), []int{at})
		}

		if len(g.input) < 10_000 {
			each := make([]int, 0, len(g.input))
			for at := 1; at < len(g.input); at++ {
				each = append(each, at)
			}
			check(t, g.run(t, cfg, each...), each)
		}

		rapid.Check(t, func(t *rapid.T) {
			cuts := rapid.SliceOfN(rapid.IntRange(0, len(g.input)), 2, 20).Draw(t, "cuts")
			slices.Sort(cuts)
			check(t, g.run(t, cfg, cuts...), cuts)
		})
	})
}
