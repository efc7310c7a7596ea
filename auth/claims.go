package auth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unique"
)

const (
	maxPatterns = 64
	maxPattern  = 256     // bytes, as long as a topic
	maxTokenID  = 256     // bytes
	lastSecond  = 1 << 40 // Unix seconds, about 35,000 years: more is a mistake
)

// claims are the members of a token that are read.
type claims struct {
	device, tokenID string
	tenant          string   // "" = none
	issuer          string   // "" = none
	audiences       []string // nil = none, not even an empty list
	rights          Rights
	expires         int64 // Unix seconds; 0 = none
	notBefore       int64 // the same
	issued          int64 // the same
}

// checkClaims reads the claims of a token whose signature has been checked.
func (v *Verifier) checkClaims(payload []byte) (*Identity, error) {
	var c claims
	if !c.scan(payload, v.lists) {
		var members claimSet
		if err := json.Unmarshal(payload, &members); err != nil {
			return nil, fmt.Errorf("%w: claims: %w", ErrMalformed, err)
		}
		c = claims{}
		if err := members.read(&c, v.lists); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrClaims, err)
		}
	}
	id, err := c.identity(v.lists)
	if err == nil {
		err = c.meant(&v.cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrClaims, err)
	}
	now := v.cfg.Now()
	if !id.Expires.IsZero() {
		id.Expires = id.Expires.Add(v.cfg.Leeway)
	}
	switch {
	case !id.Expires.IsZero() && !now.Before(id.Expires):
		return nil, ErrExpired
	case c.notBefore != 0 && now.Before(time.Unix(c.notBefore, 0).Add(-v.cfg.Leeway)):
		return nil, ErrNotYet
	}
	return id, nil
}

var (
	errNoAudience = errors.New("aud is missing: the token must name whom it is for")
	errAudience   = errors.New("aud names others: the token is not for this node")
	errNoIssuer   = errors.New("iss is missing: the token must name who made it")
	errIssuer     = errors.New("iss names nobody whose tokens are taken here")
)

// meant refuses a token that is for others, or of others. A recipient that finds no name of
// its own in an aud must refuse it, so a node without a name refuses every aud. [RFC7519 4.1.1]
// [RFC7519 4.1.3]
func (c *claims) meant(cfg *Config) error {
	ours := func(name string) bool { return slices.Contains(cfg.Audiences, name) }
	switch {
	case c.audiences == nil && len(cfg.Audiences) > 0:
		return errNoAudience
	case c.audiences != nil && !slices.ContainsFunc(c.audiences, ours):
		return errAudience
	case len(cfg.Issuers) == 0:
		return nil
	case c.issuer == "":
		return errNoIssuer
	case !slices.Contains(cfg.Issuers, c.issuer):
		return errIssuer
	}
	return nil
}

// identity checks the claims and returns them as an Identity.
func (c *claims) identity(lists *patternLists) (*Identity, error) {
	id := &Identity{Tenant: DefaultTenant, Device: c.device, TokenID: c.tokenID, Rights: lists.rightsOf(c.rights)}
	if err := CheckName("device", c.device); err != nil {
		return nil, fmt.Errorf("sub: %w", err)
	}
	if c.tenant != "" {
		if err := CheckName("tenant", c.tenant); err != nil {
			return nil, err
		}
		id.Tenant = unique.Make(c.tenant).Value() // one string for its many devices
	}
	if len(c.tokenID) > maxTokenID {
		return nil, fmt.Errorf("jti is %d bytes, allowed are up to %d", len(c.tokenID), maxTokenID)
	}
	if c.expires != 0 {
		id.Expires = time.Unix(c.expires, 0)
	}
	if c.issued != 0 {
		id.Issued = time.Unix(c.issued, 0)
	}
	return id, nil
}

// claimSet is a JSON object as received. Struct fields would match names in any case;
// golang-jwt reads claims the same way.
type claimSet map[string]any

// errTwice is for an object in which a name repeats. Which member counts depends on who
// reads it: another reader of the token could take it for another device's. [RFC7519 4]
var errTwice = errors.New("a name is there twice")

// UnmarshalJSON reads an object whose names are there once.
func (s *claimSet) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errors.New("not a JSON object")
	}
	all := claimSet{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return err //nolint:wrapcheck // the caller says what it read
		}
		name, _ := t.(string) // always one, in a valid object
		if _, twice := all[name]; twice {
			return fmt.Errorf("%w: %.40q", errTwice, name)
		}
		var value any
		if err := dec.Decode(&value); err != nil {
			return err //nolint:wrapcheck // the same
		}
		all[name] = value
	}
	*s = all
	return nil
}

// read fills c from a JSON object. iat decides nothing here (RFC 7519 4.1.6), but it must
// be a time: by it a token may be revoked.
func (s claimSet) read(c *claims, lists *patternLists) error {
	err := errors.Join(
		s.text("sub", &c.device), s.text("tenant", &c.tenant), s.text("jti", &c.tokenID),
		s.text("iss", &c.issuer), s.audience(&c.audiences),
		s.time("exp", &c.expires), s.time("nbf", &c.notBefore), s.time("iat", &c.issued))
	if err != nil {
		return err
	}
	if _, named := s["tenant"]; named && c.tenant == "" {
		return CheckName("tenant", "")
	}
	return errors.Join(
		s.patterns("topics", &c.rights.Topics, lists),
		s.patterns("join_groups", &c.rights.Groups, lists),
		s.patterns("commands", &c.rights.Commands, lists))
}

// patterns reads a list of patterns. Without one, *to is unchanged.
func (s claimSet) patterns(name string, to **Patterns, lists *patternLists) error {
	claim, ok := s[name]
	if !ok {
		return nil
	}
	text, err := json.Marshal(claim)
	if err != nil {
		return err //nolint:wrapcheck // it cannot fail on what was just unmarshalled
	}
	*to, err = lists.of(name, text)
	return err
}

// text reads a string claim. Without one, *to is unchanged.
func (s claimSet) text(name string, to *string) error {
	claim, ok := s[name]
	if !ok {
		return nil
	}
	if *to, ok = claim.(string); !ok {
		return fmt.Errorf("%s must be a string", name)
	}
	return nil
}

// audience reads whom a token is for: a string, or several in an array. [RFC7519 4.1.3]
func (s claimSet) audience(to *[]string) error {
	switch claim := s["aud"].(type) {
	case string:
		*to = []string{claim}
		return nil
	case []any:
		*to = make([]string, len(claim))
		for i, one := range claim {
			var ok bool
			if (*to)[i], ok = one.(string); !ok {
				return errors.New("aud must be a string, or an array of strings")
			}
		}
		return nil
	}
	if _, there := s["aud"]; there {
		return errors.New("aud must be a string, or an array of strings")
	}
	return nil
}

// time reads a NumericDate (RFC 7519 2) in whole seconds. Without one, *to is
// unchanged.
func (s claimSet) time(name string, to *int64) error {
	claim, ok := s[name]
	if !ok {
		return nil
	}
	seconds, ok := claim.(float64)
	if !ok || seconds <= 0 || seconds > lastSecond {
		return fmt.Errorf("%s must be a number of seconds since 1970", name)
	}
	*to = int64(max(seconds, 1)) // 0 would mean none
	return nil
}
