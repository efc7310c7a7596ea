// Package kafka is a Kafka of kfake, the broker of the client's own tests, in a process of its
// own, so that it can be killed: what it confirmed is synced, and there when it starts again.
// It stands in for a broker of others, of which none is to be had here.
//
// # Owns
//
// The broker, and what it refuses. A program runs it with Serve when its first argument is
// Command; package outlets starts that and speaks to it by a line on its standard input,
// answered by a line.
//
// # Goroutines
//
// Those of kfake, until Serve returns. Read has those of the client until it returns.
//
// # Not here
//
// When it is hurt: package scenarios. Nothing of the node's own code is imported.
package kafka
