// Package bench runs load scenarios against a node and measures what they cost
// it. It drives fleets of simulated devices (package fleet), reads the server
// from outside (package probe) and writes one Result for each run.
//
// # Owns
//
// The scenarios, the schema of results, worker processes.
//
// # Goroutines
//
// The caller's, in Run; a few more for HTTP requests inside the command and
// broadcast scenarios, all waited for.
//
// # Errors
//
// Run returns an error when the run itself could not be carried out: the node
// is not there, the devices do not get in. What the node did wrong is in the
// Result; Result.OK is false then, and when a threshold was missed.
//
// # Not here
//
// Plots and pages (package report), comparison with other servers (bench/compare).
package bench
