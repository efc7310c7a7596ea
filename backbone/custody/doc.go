// Package custody watches, from outside the store, over the files in which the store keeps the
// log. It notices when an acknowledged record is lost or damaged, copies the files before
// the store repairs them in silence, and reports the damage.
//
// # Owns
//
// In the data directory: the mark (log.mark: the log's identity, its first and last
// acknowledged position), what is known of its blocks (log.blocks.json), and damaged/TIME/
// with a report and copies of the damaged files. It reads the store's own files and changes
// them only before the store opens them: bad bytes become records that say that something
// was lost (heal.go), so that the store does not cut off everything behind.
//
// At the start it looks at the mark, the files and, after an unclean end, every record; when
// the store has opened the log, and every ten seconds from then on, at the store's counts;
// and all the time, slowly, at every record again.
//
// # Goroutines
//
// None of its own; Watch and Patrol are run by backbone/uplog, one each.
//
// # Memory
//
// One block at a time, at most 40 MiB, usually 8, and about 100 B for each block.
//
// # Errors
//
// *Error: there is damage about which nobody has decided.
//
// # When full
//
// If there is no room for a copy, Open fails: going on would destroy the evidence.
//
// # Not here
//
// The format of blocks (backbone/blocks). Logs on an external server, whose files belong to
// its operator.
package custody
