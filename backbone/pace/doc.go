// Package pace slows down readers of old records while devices are being served: what comes out
// of the log and what goes into it share the same processors and the same disk.
//
// # Owns
//
// How fast readers that are far behind the end of the log may go on. All that catch up at a
// time have the same rate. It grows while devices get their acknowledgements as soon as they
// do without readers that catch up, and falls while they wait longer. To know that, readers
// that catch up rest for a moment every few seconds. The rate does not fall below one and a
// quarter times what the log grows by, so that a reader that lags comes nearer. While no device
// sends, and for a reader that is not far behind, there is no limit.
// docs/decisions/0046-catching-up-at-a-pace.md.
//
// # Goroutines
//
// None: a reader that waits looks at the clock.
//
// # Errors
//
// That of the context.
//
// # When full
//
// Readers wait; what they have not read stays in the log.
//
// # Not here
//
// What is read, and by whom: backbone/reader, package sink, admin/grpcapi.
package pace
