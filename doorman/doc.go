// Package doorman says by its address whether a peer may come, before anything is read
// from it.
//
// # Owns
//
// The lists of networks that may come and that may not; how often somebody may come;
// which addresses have to stay out for a while.
//
// # Goroutines
//
// None. All methods may be called from any goroutine; those that the event loops call
// neither block nor allocate.
//
// # Memory
//
// Some 30 bytes for each prefix of a list; of the list before, while a new one is read. A
// Pacer has 16 bytes for each key that it has room for; Bans
// have 2 MiB, and 100 bytes for each address that has failed lately.
//
// # Errors
//
// What is wrong with a file, with its name and the line.
//
// # Not here
//
// Whose address counts where there is a proxy between, and what a peer that may not come
// gets to hear: the event loop knows.
package doorman
