// Package proxyproto reads the header of the PROXY protocol, versions 1 and 2: what a
// proxy says, before the first byte of a connection, of whom the connection is.
//
// The specification is haproxy's doc/proxy-protocol.txt; "section" in a comment is one of
// its sections. The package reads byte slices; it has no I/O, no state and no clock.
//
// # Not here
//
// Whose header is believed, and how long it may take to come: the event loop decides
// that.
package proxyproto
