// Package redis sends records to a Redis: into streams, or to those who listen to channels.
//
// # Safety
//
// A batch is one transaction (MULTI, EXEC): Redis takes all of it or nothing, and its answer
// confirms what Redis has. Whether that outlives a crash of Redis is for its appendfsync to say.
//
// # Errors
//
// A key of another type refuses its record. All else is of the moment: no memory, loading,
// a replica that takes no writes, no leave.
//
// # Goroutines
//
// Those of rueidis, for as long as there is a connection; Close ends them.
package redis
