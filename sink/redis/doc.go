// Package redis sends records to a Redis: into streams, or to those who listen to channels.
// And it takes commands for devices from a stream there, by a consumer group,
// and keeps a key for each device that is connected.
//
// # Safety
//
// A batch is one transaction (MULTI, EXEC): Redis takes all of it or nothing, and its answer
// confirms what Redis has; to a cluster it is one for each key. Whether that outlives a crash of
// Redis is for its appendfsync to say.
//
// # Errors
//
// A key of another type refuses its record. All else is of the moment: no memory, loading,
// a replica that takes no writes, no leave.
//
// # Goroutines
//
// Those of rueidis, for as long as there is a connection; Close, and the end of a source's
// Run, end them.
//
// # Memory
//
// A source has one entry at a time, or 16 that a dead consumer left, each as large as who
// wrote it made it.
package redis
