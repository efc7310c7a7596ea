// Package life runs one scenario from an empty directory to the check of its log.
//
// Run starts a node, lets a crew stream into it, calls the scenario's Act, lets
// everything settle, reads the log back with `edgeloop tail`, and compares it with
// what the devices wrote down. Where others misbehave, the crew is a control group:
// how long it waits at rest and meanwhile is measured and judged (control.go).
//
// # Goroutines
//
// One that sends commands. Scenarios start helpers of their own and wait for them.
//
// # Errors
//
// A broken promise is a violation and part of the result. An error means that the run
// could not be carried out; it says nothing about the node.
//
// # Not here
//
// The scenarios themselves: package scenarios.
package life
