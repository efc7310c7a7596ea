// Package archive is the form of a backup: a tar stream that holds a snapshot of each stream, as
// JetStream makes them, and at its end a manifest with the checksums.
//
// # Owns
//
// The format, which docs/data.md describes, and its number. A snapshot is cut into entries
// STREAM/N of at most partSize bytes, because a tar entry begins with its size and nobody
// knows that of a snapshot before its end. Without the manifest a backup is not one: it was cut
// off. A backup that failed ends with an entry that says why.
//
// # Goroutines
//
// None.
//
// # Memory
//
// One part, and what the decompression of the snapshots takes.
//
// # Errors
//
// *Error: this is not a whole and sound backup, and why.
//
// # When full
//
// Nothing waits.
//
// # Not here
//
// Where a snapshot comes from and goes to (backbone/servers); what is backed up in which order
// (backbone). The format of a snapshot is the server's own (server/archive, compressed by s2).
package archive
