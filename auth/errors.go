package auth

import "errors"

// Why a token was refused. Verify wraps one of these, with the detail.
var (
	ErrMalformed = errors.New("auth: not a JSON Web Token")
	ErrAlgorithm = errors.New("auth: token is signed with an algorithm that no configured key uses")
	ErrSignature = errors.New("auth: token signature does not match")
	ErrExpired   = errors.New("auth: token has expired")
	ErrNotYet    = errors.New("auth: token is not valid yet")
	ErrClaims    = errors.New("auth: token claims are missing or wrong")
	// ErrKeys: who publishes the keys may have one for this token, and is being asked. The
	// device should come back with the same token.
	ErrKeys = errors.New("auth: the key of the token is not known yet")
)
