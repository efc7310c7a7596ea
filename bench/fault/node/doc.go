// Package node runs the processes under test: `edgeloop serve`, and an external NATS
// server.
//
// # Owns
//
// The child processes. They die with this process.
//
// # Goroutines
//
// One for each child process, which waits for it, and one for each watcher.
//
// # Not here
//
// The node's own code: nothing of it is imported, so that a mistake in it cannot hide
// itself.
package node
