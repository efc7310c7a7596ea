package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
)

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
