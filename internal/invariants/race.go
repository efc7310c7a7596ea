//go:build race

package invariants

// Race says whether the race detector is on. Allocation tests skip themselves
// then: the detector makes sync.Pool drop values at random.
const Race = true
