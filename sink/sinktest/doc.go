// Package sinktest holds destinations against what sink.Destination asks of them: each
// destination runs the same tests on a real server of its kind, or the next thing to it.
//
// # Not here
//
// The engine, which has tests of its own.
package sinktest
