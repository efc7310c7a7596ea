package auth

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// MaxToken is the length of the longest accepted token, in bytes.
const MaxToken = 8192

// Config says which keys are trusted. At least one of the files, or AskKeys, is needed.
type Config struct {
	// SecretFile holds the secret of HS256 tokens: 32 bytes or more, used as they
	// are except for white space at the ends. Others may not read it. While
	// SecretFile.previous exists, tokens of the secret in it are valid, too.
	SecretFile string
	// PublicKeyFile holds PEM public keys, at most 16: P-256 for ES256, Ed25519
	// for EdDSA, RSA of 2048 bits or more for RS256.
	PublicKeyFile string
	// KeySetFile holds a JSON Web Key Set [RFC7517] of up to 1 MiB and 64 keys: RSA of 2048
	// to 8192 bits, P-256, P-384, P-521, Ed25519.
	KeySetFile string
	// AskKeys asks for the key set of SetKeys again, because a token has come whose key it
	// may have by now, and says whether an answer is on its way. It must not block; any
	// goroutine. Nil: nobody calls SetKeys.
	AskKeys func() (coming bool)
	// CacheSize bounds the remembered tokens that a public key confirmed (default
	// 131072, at about 30 B each). Too small: each reconnect costs a signature
	// check. HS256 tokens need no place in it.
	CacheSize int
	// Leeway is the clock difference that exp and nbf allow (default 0). Too large:
	// tokens outlive their expiry.
	Leeway time.Duration
	// Audiences are the names of this node in aud, of which a token must have one
	// (default none: a token that has an aud is for somebody else). Issuers are whose
	// tokens are taken, by iss (default anybody's who has the key).
	Audiences, Issuers []string
	// Now is the clock (default time.Now).
	Now func() time.Time
}

func (c Config) withDefaults() (Config, error) {
	if c.SecretFile == "" && c.PublicKeyFile == "" && c.KeySetFile == "" && c.AskKeys == nil {
		return c, errors.New("auth: a secret file, a public key file or a key set is needed")
	}
	if c.CacheSize < 0 || c.Leeway < 0 {
		return c, errors.New("auth: cache size and leeway cannot be negative")
	}
	if c.CacheSize == 0 {
		c.CacheSize = 128 << 10
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c, nil
}

// Verifier checks tokens. All its methods may be called from any goroutine.
type Verifier struct {
	// Immutable after construction.
	cfg   Config
	lists *patternLists

	// Safe for concurrent use.
	rooms sync.Pool // of *[]byte, for what is decoded of a token while it is verified

	mu sync.Mutex

	// Guarded by mu.
	files, set []key // what trust is made of: keys of the files, and of SetKeys

	// Atomic.
	trust   atomic.Pointer[trust]
	hits    atomic.Uint64
	checked atomic.Uint64
	refused atomic.Uint64
}

// trust holds the keys of one reading and what they have verified. New keys come with an
// empty cache, so a check that still runs with the old keys cannot leave its result in the
// new cache, and what a key that is gone has confirmed is gone with it.
type trust struct {
	// Immutable after construction.
	keys  []key
	asked bool // SetKeys may bring others
	known int  // how many keys are of SetKeys
	cache *cache
	bad   *cache // of tokens that no key has signed
}

// badTokens bounds the remembered tokens with a bad signature, for devices that keep
// retrying. Strangers can fill the cache; then it is of no use.
const badTokens = 4096

// New reads the key files.
func New(cfg Config) (*Verifier, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	v := &Verifier{cfg: cfg, lists: newPatternLists()}
	if err := v.Reload(); err != nil {
		return nil, err
	}
	return v, nil
}

// Reload reads the key files again and forgets every verified token. After an
// error the old keys stay in force.
func (v *Verifier) Reload() error {
	use, _, err := v.Load()
	if err != nil {
		return err
	}
	use()
	return nil
}

// Load is the first half of Reload, for callers that read more before anything changes.
// It reads the files; use puts the keys in force. left says, one line a key, which keys
// of the key set file cannot be used.
func (v *Verifier) Load() (use func(), left []string, err error) {
	keys, left, err := loadKeys(v.cfg)
	if err != nil {
		return nil, nil, err
	}
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.files = keys
		v.trustLocked()
	}, left, nil
}

// Verify checks a token. token is borrowed until return; the Identity belongs
// to the caller. The error wraps one of the Err… sentinels.
func (v *Verifier) Verify(token []byte) (*Identity, error) {
	id, err := v.verify(token)
	if err != nil {
		v.refused.Add(1)
		return nil, err
	}
	return id, nil
}

// room is memory for the usual token.
func (v *Verifier) room() *[]byte {
	if room, ok := v.rooms.Get().(*[]byte); ok {
		return room
	}
	room := make([]byte, 0, 1<<10)
	return &room
}

func (v *Verifier) verify(b []byte) (*Identity, error) {
	if len(b) > MaxToken {
		return nil, fmt.Errorf("%w: %d bytes, allowed are up to %d", ErrMalformed, len(b), MaxToken)
	}
	room := v.room()
	defer v.rooms.Put(room)
	t, err := parseToken(b, *room)
	if err != nil {
		return nil, err
	}
	trust := v.trust.Load()
	known, dear := false, t.algorithm != algorithmHS256
	var sum tokenSum
	if dear {
		sum = sumOf(b)
		known = trust.cache.has(&sum)
	}
	switch {
	case known:
		v.hits.Add(1)
	case dear && trust.bad.has(&sum):
		return nil, ErrSignature
	default:
		v.checked.Add(1)
		if err := t.checkSignature(trust.keys); err != nil {
			if trust.unheard(&t) {
				return nil, v.ask(err)
			}
			if dear && errors.Is(err, ErrSignature) {
				trust.bad.add(&sum)
			}
			return nil, err
		}
	}
	id, err := v.checkClaims(t.payload)
	switch {
	case err != nil && known: // it has expired
		trust.cache.remove(&sum)
		return nil, err
	case err != nil:
		return nil, err
	case dear && !known:
		trust.cache.add(&sum)
	}
	return id, nil
}

// Stats counts what a Verifier has done since it was made, and what it holds.
type Stats struct {
	CacheHits uint64 // tokens of public keys found in the cache
	Checked   uint64 // tokens whose signature was checked
	Refused   uint64 // calls of Verify that returned an error
	Cached    int    // tokens of public keys in the cache now
	SetKeys   int    // keys of the set that SetKeys brought
}

// Stats may be called from any goroutine.
func (v *Verifier) Stats() Stats {
	trust := v.trust.Load()
	return Stats{
		CacheHits: v.hits.Load(),
		Checked:   v.checked.Load(),
		Refused:   v.refused.Load(),
		Cached:    trust.cache.len(),
		SetKeys:   trust.known,
	}
}
