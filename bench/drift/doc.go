// Package drift judges whether a server that ran for a long time grew.
//
// # Owns
//
// Which figures of a server are watched, below which floor a growth means nothing,
// and what is compared with what.
//
// # Goroutines
//
// None; a Series belongs to one.
//
// # Errors
//
// None: too few readings say nothing, and say that they do.
//
// # Not here
//
// Reading the figures, which is package probe's.
package drift
