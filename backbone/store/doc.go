// Package store keeps the small state beside the log: commands that wait for their device,
// presence, bans, the places of readers. Each has a small stream of its own; what is asked
// often is also kept in memory, by a watch on the stream.
//
// # Goroutines
//
// The presence publisher, the command watcher and the ban watcher, one each; the last calls
// OnBan. They end with the servers' Context.
//
// # Errors
//
// servers.ErrClosed and *servers.UnavailableError; ErrCommandsFull; *TooLargeError.
package store
