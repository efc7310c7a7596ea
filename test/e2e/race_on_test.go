//go:build race

package e2e_test

// raceEnabled makes the node under test a race build too.
const raceEnabled = true
