// Package tricks is what an attacker tries at each door of a node, one try at a time, and
// what each may come to. It shares no code with the node: HTTP, frames, MQTT, PROXY,
// HTTP/2 and the records of TLS are written by hand, so that they can be wrong on purpose.
//
// # Owns
//
// The table of tricks, and the keys, certificates and tokens of a node that is attacked
// (Fit).
//
// # Goroutines
//
// A try runs on its caller's, and ends with its context.
//
// # Not here
//
// How many try at once, and what devices felt meanwhile: bench/fault/attack and
// bench/fault/scenarios.
package tricks
