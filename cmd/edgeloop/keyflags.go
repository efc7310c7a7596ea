package main

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"edgeloop/auth/jwks"
)

// keyFlags say with which keys tokens are signed.
type keyFlags struct {
	SecretFile    string        `default:"" type:"path" help:"Secret of HS256 tokens; default DATA_DIR/device.secret, created on the first start, where no other keys are given."`
	PublicKeyFile string        `default:"" type:"path" help:"PEM public keys of ES256, EdDSA or RS256 tokens."`
	JWKSFile      string        `name:"jwks-file" default:"" type:"path" help:"Public keys of tokens as a JSON Web Key Set, read again when the file changes."`
	JWKSURL       string        `name:"jwks-url" default:"" placeholder:"URL" help:"Where public keys of tokens are published as a JSON Web Key Set, by https; fetched again as its Cache-Control says (15m without one, 1m to 1h), when a token names a key that is not there, and on a reload."`
	JWKSMaxStale  time.Duration `name:"jwks-max-stale" default:"24h" help:"How long the keys of --jwks-url stay valid while the node cannot fetch them again; after that it lets in no device with such a token."`
	JWKSNetworks  []string      `name:"jwks-networks" placeholder:"NETWORK" help:"Non-public networks in which the server of --jwks-url may be; separated by commas. An address in the URL itself needs none."`
	JWKSCA        string        `name:"jwks-ca" default:"" type:"path" help:"Authorities that sign the certificate of --jwks-url: a PEM file. Default: those of the system."`
}

// given says whether there are keys other than the node's own secret.
func (f *keyFlags) given() bool {
	return f.SecretFile != "" || f.PublicKeyFile != "" || f.JWKSFile != "" || f.JWKSURL != ""
}

// planKeys checks the flags without looking at a file.
func (s *serveCmd) planKeys() error {
	if s.Auth == "none" && s.given() {
		return errors.New("--auth=none does not go with --secret-file, --public-key-file, --jwks-file or --jwks-url: tokens would not be checked")
	}
	if _, err := parsePrefixes("jwks-networks", s.JWKSNetworks); err != nil {
		return err
	}
	if s.JWKSURL == "" {
		if len(s.JWKSNetworks) > 0 || s.JWKSCA != "" {
			return errors.New("--jwks-networks and --jwks-ca are for the server of --jwks-url: give that, too, or leave them out")
		}
		return nil
	}
	if _, err := jwks.CheckURL(s.JWKSURL); err != nil {
		return fmt.Errorf("--jwks-url: %w", err)
	}
	return nil
}

// rootCAs are of --jwks-ca; nil: those of the system.
func (f *keyFlags) rootCAs() (*x509.CertPool, error) {
	if f.JWKSCA == "" {
		return nil, nil
	}
	return readAuthorities("--jwks-ca", f.JWKSCA)
}
