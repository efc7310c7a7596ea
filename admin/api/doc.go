// Package api holds the words of the admin API: plain structs that the admin
// server, its client and the gateway share, with their JSON names.
//
// # Owns
//
// The shape of every request and response of the REST API as Go values, and
// the errors with which a backend tells the server which status to answer.
// The same shapes are described for the outside in admin/openapi.json; a test
// in package admin compares the two.
//
// # Goroutines
//
// None.
//
// # Memory
//
// Values are copies. A slice in a value that a backend returns is shared, never
// written; a slice in a value that a backend receives is the backend's to keep.
//
// # Errors
//
// Sentinels (ErrUnknownDevice and others), *FieldError for a value that is not
// allowed, and *Problem, the RFC 9457 document, which is what the client
// returns for every refusal.
//
// # When full
//
// ErrBusy says that one device's queue is full, ErrUnavailable that the node
// cannot take it now.
//
// # Not here
//
// HTTP (package admin), the calls to a running node (package admin/client),
// the rules for names (package auth).
package api
