// Package attack plays hostile peers. They run in a process of their own, started by
// package life, so that what they cost is not taken for what the node makes its
// devices wait.
//
// # Goroutines
//
// One for each peer. Run waits for all of them; every attack ends by itself.
package attack
