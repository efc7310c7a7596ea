// Package intake brings commands for devices from where others put them: a topic of a broker,
// a stream.
//
// # Owns
//
// The order and the acknowledgement: what comes is handed to the node one by one, and its source
// may acknowledge it when the node has stored it, or will never take it. A command comes at
// least once: one whose acknowledgement was lost is stored again.
//
// # Goroutines
//
// One for each source; Set.Apply starts them, Set.Stop and Apply end them and wait.
//
// # Memory
//
// One command of each source, and what the source's library reads ahead (its package says how
// much).
//
// # When full
//
// A full store of the node is of the moment: the command is tried again, with growing delays,
// nothing behind it is taken, and the rest stays where it came from.
//
// # Errors
//
// A Refusal is definite, of one command: it is counted, logged and acknowledged. All else is of
// the moment.
//
// # Not here
//
// Sources, each with the library of its kind in sink/mqtt; the store, in backbone/store.
package intake
