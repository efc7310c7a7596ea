// Package jwks fetches a JSON Web Key Set from the server that publishes it, again and
// again, and says when the last one is too old.
//
// # Owns
//
// The HTTP client with its bounds, where it may connect to, when it fetches, and for how
// long the last answer is good. What a key set is, package auth knows.
//
// # Goroutines
//
// One, in [Source.Run], started and stopped by the caller.
//
// # Memory
//
// One answer at a time, of up to 1 MiB; it is lent to Config.Use.
//
// # Errors
//
// [New] says what is wrong with the address. Fetches that fail are counted by [Outcome]
// and kept as the last error, which quotes neither the query of the address nor what the
// server sent.
//
// # When full
//
// However many tokens name keys that nobody knows, one of them a minute has the set
// fetched (askedEvery).
//
// # Not here
//
// Checking tokens (auth).
package jwks
