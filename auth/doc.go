// Package auth says who a device is and what it may do: it checks JSON Web
// Tokens (RFC 7519) against a secret or public keys from files, remembers which
// it has checked at some cost, and keeps the set of what was revoked.
//
// # Owns
//
// Key files and their rules (permissions, kinds, sizes), the token checks, the
// cache of checked tokens, the revocation set, the names that tenants and
// devices may have, the topic patterns of a token, and the files that are made
// on a first start: the device secret and the admin token.
//
// # Goroutines
//
// None. All methods of [Verifier] may be called from any goroutine; a signature
// check costs microseconds to tens of microseconds, so call Verify on a worker,
// not on an event loop.
//
// # Memory
//
// A token given to Verify is borrowed until return. An [Identity] belongs to the
// caller and nothing else holds it; its [Topics] are shared by all tokens that
// say the same, at most 1024 different lists. Of an HS256 token nothing is kept;
// of one that a public key confirmed half of its SHA-256, about 30 B.
//
// # Errors
//
// Verify wraps one of the Err… sentinels, so that the gateway can choose
// between 401 and 4401. Errors about files name the file and the fix.
//
// # When full
//
// The cache evicts an entry at random: the next Verify of that token costs a
// signature check and nothing else. Tokens that were refused are not cached.
// The revocation set refuses with [ErrFull].
//
// # Not here
//
// Closing connections at expiry or revocation (gateway), bans that survive a
// restart (backbone), who may use the admin API (admin, with EqualToken).
package auth
