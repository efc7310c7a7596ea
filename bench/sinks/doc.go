// Package sinks measures what the sinks of a node cost and bring: for each kind of destination
// how many records a second leave, how late they are, and what devices feel of it while the
// destination keeps up, is down, and catches up.
//
// # Owns
//
// The node, one for each destination, and the destinations, which are those of
// bench/fault/outlets. The devices are edgebench's, in processes of their own.
//
// # Goroutines
//
// One, while files are written, that looks how far they have grown, and one of a consumer of
// Kafka, with those of its client; those of package client while a service reads by gRPC.
//
// # Not here
//
// Whether all arrives, and in order: scenario sinks of bench/fault.
package sinks
