// Package retained keeps the last message of each topic that a client of MQTT published to be
// retained (docs/decisions/0070).
//
// # Owns
//
// The Table: what is retained, and how much of it a tenant and a node may have (table.go,
// slot.go). And how it outlives the node (keep.go, load.go).
//
// # Goroutines
//
// That of Run alone, which whoever starts the Table starts and waits for.
//
// # Memory
//
// A record for each topic, and what it is for now. What is on its way has its room before it is
// in the log. Lines that are handed in are copied; those that are handed out are never written.
//
// # Errors
//
// Load says why there can be no Table. Run logs that the store cannot be written, and goes on.
//
// # When full
//
// Reserve says no, and whoever asked decides what becomes of the message.
//
// # Not here
//
// Who publishes (gateway) and who subscribes (admin/mqttapi); the log, and the stream that
// messages lie in (backbone).
package retained
