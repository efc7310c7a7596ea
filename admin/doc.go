// Package admin is the HTTP side of a node for people and machines: the REST
// API, health, metrics, profiles, a live tail of the log and a dashboard page.
//
// A request goes through ServeHTTP (token, deadlines), the table in routes.go,
// which says who may take which route, and one handler, which reads the request
// strictly, asks one backend, and returns a value or an error; problemOf turns the
// error into a status. A route of one tenant gets its tenant from tenantOf and from
// nowhere else. What changes something is a line of the audit.
//
// # Owns
//
// The listener for operators, which is not the one for devices; the OpenAPI
// document (openapi.json), the table of every time series (metrics_table.go)
// and the interfaces that say what a node must offer (backends.go). The words
// of the API are in package api.
//
// # Goroutines
//
// "admin serve", one, from Start to Stop, which waits for it; below it those of
// net/http, one per connection, at most Config.MaxConnections; and one reader of
// the log per live tail, at most Config.MaxTails, which its handler waits for.
//
// # Memory
//
// Nothing is kept between requests. A body is bounded by Config.MaxBody, the
// records that wait for the reader of a tail by Config.TailBuffer. A line of the
// log is borrowed from the backend until the callback returns, and copied once.
//
// # Errors
//
// New returns ErrRemote for an address that others can reach, when nobody said
// that this is meant. Callers of the API get RFC 9457 problem documents;
// an error that no table knows is logged and shown as 500 without its text.
//
// # When full
//
// For a connection beyond the limit the quietest is closed, so that probes always
// get through; requests with the token beyond theirs get 503. A tail beyond the
// limit is refused with 503. A tail whose reader does not keep up is ended with
// a last event and counted in edgeloop_admin_tails_dropped_total. A body beyond
// the limit is refused with 413.
//
// # Not here
//
// What a command, a ban or a drain does (package gateway), scopes and the tokens
// file (package access), the node's own token (package auth), flags (cmd/edgeloop), calls to this API (package client).
package admin
