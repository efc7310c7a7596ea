// Package store keeps what is not of the log: commands that wait for their device, who
// is here, and who is kept out. Each is a small stream of its own; what is
// asked often of it is kept in memory too, by a watch on the stream.
//
// # Goroutines
//
// presence publisher (one), command watcher and ban watcher (one each); OnBan is called
// on the last. They end with the servers' Context.
//
// # Errors
//
// servers.ErrClosed and *servers.UnavailableError; ErrCommandsFull; *TooLargeError.
package store
