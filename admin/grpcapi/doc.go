// Package grpcapi is the way into a node for services: edgeloop.v1 over gRPC. It reads the
// log under names whose places the node keeps, sends commands, and tells who is here.
//
// A call goes through the interceptor (token, scope, overload, places, audit: admit.go) before its
// request is read (early.go), by the
// table in methods.go, to one handler. Errors become a status in status.go alone, by the
// problems of package admin, so that both ways in say the same.
//
// # Owns
//
// The listener for services, the table of methods, and what a call of Log.Read is made of
// (reading.go, outbox.go).
//
// # Goroutines
//
// "grpc serve", one, from Start to Stop; below it those of grpc-go, some for each
// connection, and one for each call. A call of Log.Read has three more: they receive
// acknowledgements,
// read the log and keep the place. A call of Presence.Watch has one more.
//
// # Memory
//
// A call of Log.Read holds what its reader holds (1 MiB, or one larger record), at most
// Config.Outbox beside it, and what grpc-go holds for a stream (64 KiB). When its client
// does not read, it stops reading the log. A call of Presence.Watch holds one state of a
// device, at most Config.WatchDevices of them.
//
// # Errors
//
// New returns admin.ErrRemote for an address that others can reach, when nobody said
// that this is meant. Callers get a status with google.rpc details.
//
// # When full
//
// A connection beyond the limit takes the place of the oldest that never showed a token;
// calls beyond theirs get RESOURCE_EXHAUSTED and a time to come back, and so do new names of
// readers beyond theirs (room.go). A node with too much to do refuses what is in the table
// sheds (methods.go).
//
// # Not here
//
// What a command or a reader does (packages gateway and backbone/reader), tokens and scopes
// (package access), flags (cmd/edgeloop), the client (package client).
package grpcapi
