// Package sink brings the records of the log to where others want them: each sink is a
// named reader of the log and one destination.
//
// # Owns
//
// The order: a batch behind the kept place goes to the destination, which confirms it from
// the front; the place moves over what is confirmed and never before, and is kept within a second
// or at whatever ends or interrupts the sending (docs/decisions/0067); whatever fails, it
// begins again with the first record that is not confirmed. Retries, their delays and the
// breaker are here and nowhere else. So each record leaves at least once, in its device's
// order, and carries its position, by which what comes twice can be dropped.
//
// # Goroutines
//
// Two for each sink, a reader and a sender; Set.Apply starts them, Set.Stop and Apply end
// them and wait. A sink shares nothing with another one, and nothing on the way from a
// socket to the log knows that there are sinks.
//
// # Memory
//
// Two batches for each sink: the one that is sent and the one that gathers.
//
// # When full
//
// The reader waits. What it does not read stays in the log, until retention takes it; then
// the sink is told how many records it missed, and they are counted.
//
// # Errors
//
// A Refusal is definite, of records; all else is of the moment and tried again.
//
// # Not here
//
// Destinations, each in a package below; the stores of places and of refused records,
// in backbone/store.
package sink
