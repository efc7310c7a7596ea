package auth

import (
	"encoding/json"
	"errors"
	"fmt"
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

// claimSet is a JSON object as it comes: struct fields would match names in any
// case, and golang-jwt reads claims in the same way.
type claimSet map[string]any

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
	return c.topics(id)
}

func (c claimSet) topics(id *Identity) error {
	claim, ok := c["topics"]
	if !ok {
		return nil
	}
	list, ok := claim.([]any)
	if !ok {
		return errors.New("topics must be an array of patterns")
	}
	id.Topics = make([]string, len(list))
	for i, item := range list {
		if id.Topics[i], ok = item.(string); !ok {
			return errors.New("topics must be an array of strings")
		}
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
	claim, ok := c[name]
	if !ok {
		return nil
	}
	if *s, ok = claim.(string); !ok {
		return fmt.Errorf("%s must be a string", name)
	}
	return nil
}

// time reads a NumericDate (RFC 7519 2), whole seconds; zero without one.
func (c claimSet) time(name string) (time.Time, error) {
	claim, ok := c[name]
	if !ok {
		return time.Time{}, nil
	}
	seconds, ok := claim.(float64)
	if !ok || seconds <= 0 || seconds > lastSecond {
		return time.Time{}, fmt.Errorf("%s must be a number of seconds since 1970", name)
	}
	return time.Unix(int64(seconds), 0), nil
}
