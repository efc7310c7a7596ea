// Package store keeps the small state beside the log: commands that wait for their device,
// presence, bans, revocations, the places of readers, dead letters, Wills
// and retained messages. Each has a small stream of its own; what is asked
// often is also kept in memory, by a watch on the stream.
//
// # Goroutines
//
// The presence publisher and the watchers of commands, bans and revocations, one each; the last
// two call OnBan and OnRevoke. They end with the servers' Context.
//
// # Errors
//
// servers.ErrClosed and *servers.UnavailableError; ErrCommandsFull; *TooLargeError.
package store
