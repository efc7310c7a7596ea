// Package auth says who a device is and what it may do. It checks JSON Web Tokens
// (RFC 7519) against a secret or public keys from files, remembers the checks that are
// expensive.
//
// # Owns
//
// Key files and their rules (permissions, kinds, sizes), the token checks, the
// cache of checked tokens, the rules for names of tenants and
// devices, the patterns of what a token allows, and the files that a first start creates: the
// device secret and the admin token.
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
// caller and nothing else holds it; equal [Rights] are shared between tokens, up to
// 1024 different lists. Nothing is kept of an HS256 token. Of a token that a public key
// confirmed, half of its SHA-256 is kept, about 30 B.
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
//
// # Not here
//
// Closing connections at expiry (gateway), bans and revocations
// (backbone), who may use the admin API (admin/access).
package auth
