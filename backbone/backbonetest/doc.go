// Package backbonetest opens and closes backbones for the tests of backbone and of the
// packages below it.
//
// # Owns
//
// The opening, the filling and the closing of a backbone in a test, and the check for
// goroutines left behind.
//
// # Goroutines
//
// Watch starts one; the end of the test stops it and waits for it.
//
// # Memory
//
// A watch keeps one state for each device.
//
// # Errors
//
// They fail the test.
//
// # When full
//
// Append blocks while the log is full.
//
// # Not here
//
// Waiting for a condition (internal/testkit), a NATS server without a backbone
// (backbone/natstest).
package backbonetest
