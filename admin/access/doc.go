// Package access says who may ask what of the admin API: scopes, principals, and the
// file of tokens.
//
// # Owns
//
// The scopes; a principal, which is the holder of a token with a name, scopes and
// perhaps a tenant and an end; the lines of a tokens file; the search for the
// principal of a token.
//
// # Goroutines
//
// None. A List is never changed after NewList, and may be read from anywhere.
//
// # Memory
//
// At most MaxPrincipals. What Parse reads is borrowed until it returns; of a token
// only the hash is kept.
//
// # Errors
//
// A *LineError names the line of the file and what to do about it.
//
// # When full
//
// A file of more than MaxPrincipals lines is refused.
//
// # Not here
//
// Which route needs which scope (admin), where the file lies and when it is read again
// (cmd/edgeloop), tokens of devices (auth).
package access
