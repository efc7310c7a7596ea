// Package scenarios is the table of ways to hurt a node. Each file holds one family:
// how the node is set up, what happens to it under load, and what it owes then.
//
// # Not here
//
// What every life checks at its end: package life.
package scenarios
