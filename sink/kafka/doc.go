// Package kafka sends records to topics of Kafka, or of what speaks as it does.
//
// # Safety
//
// The producer is idempotent and waits for all replicas in sync: what it repeats by itself,
// because an answer is missing, a partition has once and in order. A definite failure it does
// not repeat; that is for the engine. An attempt whose answer is missing when its time is over
// stays on its way, with the same producer: the next one waits for its outcome, and sends no
// more than what is not stored. So nothing sent again is overtaken by what was sent before.
//
// # Errors
//
// Too large, an invalid record, time or topic refuse a record. All else is of the moment:
// no topic, no leader, too few replicas, no leave, a wrong password.
//
// # Memory
//
// The batch that is sent, and the identities of its records that are stored behind one that
// is not.
//
// # Goroutines
//
// Those of franz-go, for as long as there is a client; Close ends them.
package kafka
