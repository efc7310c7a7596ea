// Package reader reads the log, from a place that the caller gives or under a name whose
// place is kept. No reader passes the position up to which the log is durable.
//
// A position is a number within one log. Those that are given out carry the identity of the
// log, so that a position of another log is refused (docs/decisions/0022).
//
// # Goroutines
//
// None: the caller of Read waits.
//
// # Memory
//
// A reader holds at most 1 MiB, or one larger record. Lines are borrowed until the callback
// returns.
package reader
