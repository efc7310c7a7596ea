// Package client is edgeloop.v1 for programs in Go: a connection to a node's gRPC services,
// and the loop that a service writes to read the log.
//
// # Owns
//
// Client, Read, and when to come back after a failure. The services' own words are package
// edgeloopv1, which Client gives access to.
//
// # Goroutines
//
// Those of grpc-go until Close, and one for each Read that runs.
//
// # Memory
//
// A Read holds the records of one message of the node, and the one after it.
//
// # Errors
//
// A status of gRPC, with google.rpc details where the node gives some.
package client
