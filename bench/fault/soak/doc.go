// Package soak hurts two nodes for hours. One lives through all of it in one process;
// the other is killed and started again on its directory.
//
// # Goroutines
//
// One for each node's life, and for each a few that read figures, cut devices and play
// bad guests. Run waits for all of them.
package soak
