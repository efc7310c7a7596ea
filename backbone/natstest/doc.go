// Package natstest runs a NATS server in the process of a test, as backbone/servers does
// in a node, for tests of what the server leaves on the disk.
//
// # Owns
//
// A server for the length of one call.
//
// # Goroutines
//
// Those of nats-server; WithStream waits for them.
//
// # Memory
//
// The server keeps its files in the directory of the test.
//
// # Errors
//
// They fail the test.
//
// # When full
//
// The server answers with an error, which fails the test.
//
// # Not here
//
// A backbone (backbone/backbonetest).
package natstest
