package auth

import (
	"encoding/json"
	"fmt"
	"math"
	"time"
	"unique"
)

const (
	maxTopics  = 64
	maxPattern = 256     // bytes, as long as a topic
	maxTokenID = 256     // bytes
	lastSecond = 1 << 40 // Unix seconds, some 35,000 years: more is a mistake
)

// checkClaims reads the claims of a token whose signature has been checked.
func checkClaims(payload []byte, now time.Time, leeway time.Duration) (*Identity, error) {
	// A map, because struct fields match names in any case.
	var claims claimSet
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil, fmt.Errorf("%w: claims: %w", ErrMalformed, err)
	}
	id := &Identity{Tenant: DefaultTenant}
	if err := claims.identify(id); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrClaims, err)
	}
	notBefore, err := claims.times(id)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrClaims, err)
	}
	switch {
	case id.expired(now, leeway):
		return nil, ErrExpired
	case !notBefore.IsZero() && now.Before(notBefore.Add(-leeway)):
		return nil, ErrNotYet
	}
	return id, nil
}

type claimSet map[string]json.RawMessage

// identify reads all claims but the times.
func (c claimSet) identify(id *Identity) error {
	if err := c.text("sub", &id.Device); err != nil {
		return err
	}
	if err := CheckName("device", id.Device); err != nil {
		return fmt.Errorf("sub: %w", err)
	}
	if _, named := c["tenant"]; named {
		if err := c.text("tenant", &id.Tenant); err != nil {
			return err
		}
		if err := CheckName("tenant", id.Tenant); err != nil {
			return err
		}
		id.Tenant = unique.Make(id.Tenant).Value() // one string for its many devices
	}
	if err := c.text("jti", &id.TokenID); err != nil {
		return err
	}
	if len(id.TokenID) > maxTokenID {
		return fmt.Errorf("jti is %d bytes, allowed are up to %d", len(id.TokenID), maxTokenID)
	}
	raw, ok := c["topics"]
	if !ok {
		return nil
	}
	if err := json.Unmarshal(raw, &id.Topics); err != nil || id.Topics == nil {
		return fmt.Errorf("topics must be an array of patterns")
	}
	return CheckTopics(id.Topics)
}

// times reads exp, nbf and iat. iat decides nothing (RFC 7519 4.1.6), but it
// must be a time.
func (c claimSet) times(id *Identity) (notBefore time.Time, err error) {
	if id.Expires, err = c.time("exp"); err != nil {
		return notBefore, err
	}
	if notBefore, err = c.time("nbf"); err != nil {
		return notBefore, err
	}
	_, err = c.time("iat")
	return notBefore, err
}

// text reads a string claim; *s stays as it is without one.
func (c claimSet) text(name string, s *string) error {
	raw, ok := c[name]
	if !ok {
		return nil
	}
	if raw[0] != '"' {
		return fmt.Errorf("%s must be a string", name)
	}
	return json.Unmarshal(raw, s)
}

// time reads a NumericDate (RFC 7519 2), whole seconds; zero without one.
func (c claimSet) time(name string) (time.Time, error) {
	raw, ok := c[name]
	if !ok {
		return time.Time{}, nil
	}
	seconds := math.NaN()
	if json.Unmarshal(raw, &seconds) != nil || !(seconds > 0 && seconds <= lastSecond) {
		return time.Time{}, fmt.Errorf("%s must be a number of seconds since 1970", name)
	}
	return time.Unix(int64(seconds), 0), nil
}
