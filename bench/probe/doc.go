// Package probe reads from outside what a server costs: CPU time, memory,
// context switches and descriptors from /proc by pid, kernel memory of sockets,
// and the Go heap over HTTP where the server offers it.
//
// # Owns
//
// The meaning of each figure: its source, its unit, what it leaves out.
//
// # Goroutines
//
// None.
//
// # Errors
//
// A process that ended is os.ErrNotExist. A figure that this kernel or this
// user may not read is left zero, never an error.
//
// # Not here
//
// When to read, and what to divide by: package bench.
package probe
