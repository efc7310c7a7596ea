package auth

import (
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Claims is what a token made by Sign says. Zero times and empty texts are
// left out; nil Topics, Groups and Commands allow all (CheckPatterns). Times are cut to whole seconds.
type Claims struct {
	Tenant    string // "" = DefaultTenant
	Device    string
	TokenID   string
	IssuedAt  time.Time
	NotBefore time.Time
	Expires   time.Time
	Topics    []string // on which the device may publish
	Groups    []string // that it may join
	Commands  []string // that it may get, by name
	Audience  string   // "" = none
	Issuer    string   // "" = none
}

// Sign makes an HS256 token with the secret in secretFile. It refuses names and
// patterns that Verify would refuse.
func Sign(secretFile string, c Claims) (string, error) {
	secret, err := readSecret(secretFile)
	if err != nil {
		return "", err
	}
	claims := jwt.MapClaims{"sub": c.Device}
	if err := CheckName("device", c.Device); err != nil {
		return "", err
	}
	if c.Tenant != "" {
		if err := CheckName("tenant", c.Tenant); err != nil {
			return "", err
		}
		claims["tenant"] = c.Tenant
	}
	for name, patterns := range map[string][]string{"topics": c.Topics, "join_groups": c.Groups, "commands": c.Commands} {
		if err := CheckPatterns(name, patterns); err != nil {
			return "", err
		}
		if patterns != nil {
			claims[name] = patterns
		}
	}
	for name, text := range map[string]string{"jti": c.TokenID, "aud": c.Audience, "iss": c.Issuer} {
		if text != "" {
			claims[name] = text
		}
	}
	for name, t := range map[string]time.Time{"iat": c.IssuedAt, "nbf": c.NotBefore, "exp": c.Expires} {
		if !t.IsZero() {
			claims[name] = t.Unix()
		}
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString(secret)
}
