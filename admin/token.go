package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
)

// tokenSet is the tokens that are taken: more than one while one replaces the other.
type tokenSet []tokenCheck

func newTokenSet(tokens []string) *tokenSet {
	set := make(tokenSet, len(tokens))
	for i, token := range tokens {
		set[i] = newTokenCheck(token)
	}
	return &set
}

// allows says whether the request carries one of the tokens.
func (s *tokenSet) allows(r *http.Request) bool {
	allowed := false
	for _, t := range *s {
		allowed = t.allows(r) || allowed // all are looked at, in the same time
	}
	return allowed
}

// SetTokens has these tokens taken from now on and no others; each has at least
// 16 bytes. Requests that are being served go on.
func (s *Server) SetTokens(tokens ...string) error {
	if len(tokens) == 0 {
		return errors.New("admin: no token")
	}
	for _, token := range tokens {
		if err := checkToken(token); err != nil {
			return err
		}
	}
	s.tokens.Store(newTokenSet(tokens))
	return nil
}

// tokenCheck holds the hash of the token: comparing hashes of equal length
// takes the same time whatever was sent, its length included.
type tokenCheck [sha256.Size]byte

func newTokenCheck(token string) tokenCheck { return sha256.Sum256([]byte(token)) }

// allows says whether the request carries the token as "Authorization: Bearer".
func (t tokenCheck) allows(r *http.Request) bool {
	scheme, sent, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	hash := sha256.Sum256([]byte(strings.TrimSpace(sent)))
	return subtle.ConstantTimeCompare(hash[:], t[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}
