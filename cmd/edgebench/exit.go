package main

import (
	"errors"
	"fmt"
	"os"

	"edgeloop/bench"
)

// errMissed says that the run was carried out and the node did not pass.
var errMissed = errors.New("edgebench: the node was wrong or a threshold was missed")

// The exit codes.
const (
	exitOK     = 0
	exitMissed = 1
	exitBroken = 2
)

func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(os.Stderr, err)
	if errors.Is(err, errMissed) || errors.Is(err, bench.ErrDrift) || errors.Is(err, bench.ErrUndelivered) {
		return exitMissed
	}
	return exitBroken
}
