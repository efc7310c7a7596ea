// Package custody watches over a log that the store keeps in files, from outside of
// the store: what was acknowledged and is not there any more is noticed, copied before
// the store repairs it in silence, and put on record.
//
// # Owns
//
// In the data directory: the mark (log.mark: the log's identity, its first and last
// acknowledged position), what is known of its blocks (log.blocks.json), and
// damaged/TIME/ with the report of what was found and copies of the damaged files. The
// store's own files it reads, and changes only before the store opens them: bad bytes
// become records that say that something was lost (heal.go), so that the store does
// not cut off everything behind.
//
// What is looked at: at the start the mark, the files and, after an unclean end, every
// record; what the store counts when it has opened the log, and every ten seconds; and
// all the time, slowly, every record again.
//
// # Goroutines
//
// None of its own; Watch and Patrol are run by backbone, one each.
//
// # Memory
//
// One block at a time, at most 40 MiB, usually 8; about 100 B for each block there is.
//
// # Errors
//
// *Error: there is damage that nobody has decided about.
//
// # When full
//
// A copy that finds no room is an error of Open: going on would destroy it.
//
// # Not here
//
// The format of blocks (backbone/blocks). Logs on an external server: their files are
// their operator's.
package custody
