// Package client calls the admin API of a running node. The command-line tool
// and programs of operators use it.
//
// # Owns
//
// How requests are spelt and replies read. The words are in package api.
//
// # Goroutines
//
// None of its own. A Client may be used from many at once.
//
// # Memory
//
// What a call returns belongs to the caller; a line of Tail is borrowed until
// the callback returns.
//
// # Errors
//
// A refusal is an *api.Problem with its status. *EndError says why a tail ended
// before its time; one that is followed is first taken up again for a minute. Anything else is about the connection, wrapped, and names
// the request.
//
// # When full
//
// A reply larger than 64 MiB, or a line of Tail larger than 32 MiB, is an error.
//
// # Not here
//
// Finding the token file and printing (cmd/edgeloop).
package client
