// Package servers is where the NATS servers are: in this process, with their files
// under a data directory, or elsewhere, by URL. All that store or read ask here.
//
// # Owns
//
// The lock of the data directory, the embedded nats-server and what it needs of the
// disk, every client connection, the making and comparing of streams, and the reading
// of one by a consumer of its own. Besides
// backbone/archive, which reads its snapshots, it is the one package that names nats-server.
//
// # Goroutines
//
// None of its own, but those of nats-server and nats.go, and what Go starts for others.
// Stop ends the context, waits for all of it and closes the connections.
//
// # Errors
//
// ErrClosed after Close; ErrInUse and ErrNameTaken from the start; *UnavailableError
// where nobody can answer now.
package servers
