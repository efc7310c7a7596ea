// Package reader reads the log: from a place that the caller gives, or under a name
// whose place is kept. No reader passes the position up to which the log is durable.
//
// A position is a number within one log. As given out it carries the log's identity, and
// one of another log is refused (docs/decisions/0022).
//
// # Goroutines
//
// None: who reads waits.
//
// # Memory
//
// A reader has at most 1 MiB under way, or one larger record. Lines are borrowed until
// the callback returns.
package reader
