// Package history holds what devices and a run write down, and judges a node by it.
//
// Devices record what they sent and what was acknowledged to them; the run records
// what it did to the node. The checker compares these records with the node's log and
// names each promise that was broken. The idea is Jepsen's, in one process tree.
//
// # Owns
//
// The promises, the records, and the journal of one life.
//
// # Memory
//
// A device's record grows by 40 bytes with each acknowledgement, not with each
// message. A soak forgets what its checks found in order. The log is read as a stream; of what
// came at a destination each record takes some 50 bytes.
//
// # Errors
//
// A broken promise is a Violation. An error means that a line is not a log line.
//
// # When full
//
// The journal keeps the first maxViolations violations and counts the rest.
package history
