// Package fault tries to break the promises of a node, and proves from a history
// whether it did.
//
// A run starts a real node as a child process, lets a crew of recording devices
// stream into it, injects faults from a seeded schedule, lets everything settle,
// reads the log back with `edgeloop tail` and compares it with what the devices
// wrote down. The idea is Jepsen's, in one process tree.
//
// Where others misbehave, the crew is a control group: how long it waits at rest
// and meanwhile is measured and judged (control.go). The others live in a process
// of their own (attack.go).
//
// # Owns
//
// The child processes, the devices' sockets, and the records of both: what each
// device sent, what was acknowledged to it, when the node was hurt.
//
// # Goroutines
//
// One per device, one per connection that was left behind by a takeover, and one
// per child process; started by Crew.Start and Node.Start, ended and waited for by
// Crew.Stop and Node.Kill. Scenarios start helpers of their own and wait for them.
//
// # Memory
//
// A device's record grows by 40 bytes with each acknowledgement, not with each
// message; a soak forgets what its checks found in order. The log is read as a stream.
//
// # Errors
//
// A broken promise is a Violation and part of the result. An error means that the
// run could not be carried out, and says nothing about the node.
//
// # When full
//
// After maxViolations of one life the rest are counted, not kept.
//
// # Not here
//
// The node's own codecs and log: nothing of the node is imported, so that a
// mistake in it cannot hide itself. Throughput and latency are package bench's.
package fault
