// Package crew runs recording devices: each numbers its messages, resumes from the
// welcome, sends again, and writes down what it did and what it was told.
//
// # Owns
//
// The devices' sockets and records.
//
// # Goroutines
//
// One for each device, and one for each connection that a takeover left behind. Start
// starts them; Stop ends them and waits.
//
// # Not here
//
// The node's own codecs: frames are written and read here. Judging a record: package
// history. Throughput and latency: package bench.
package crew
