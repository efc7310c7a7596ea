package main

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"edgeloop/admin/access"
	"edgeloop/auth"
)

// tokenCmd makes a token: for a device, signed with the node's secret, or for the
// admin API, whose hash goes into the tokens file.
type tokenCmd struct {
	Device          string        `default:"" help:"Name of the device: 1 to 128 letters, digits and . _ : @ -"`
	Admin           string        `default:"" help:"Instead of --device: a name for a token of the admin API. It is added to the tokens file, and printed only this once."`
	Scope           []string      `help:"What the admin token allows: metrics, read, command, admin; several separated by commas."`
	Tenant          *string       `help:"Tenant of the device, default is the tenant default; or the only tenant that the admin token sees and commands."`
	Topic           []string      `help:"Topic pattern that the device may send to, as in MQTT (+ and #); may be repeated. Default: all."`
	Group           []string      `help:"Pattern of the groups that the device may join, of the same form; may be repeated. Default: all."`
	Command         []string      `help:"Pattern of the names of commands that the device may get, of the same form; may be repeated. Default: all."`
	Audience        string        `default:"" help:"Whom the token of a device is for, its claim aud, where the node has a --token-audience."`
	Issuer          string        `default:"" help:"Who makes it, its claim iss, where the node has a --token-issuer."`
	JTI             string        `name:"jti" default:"" help:"Id of the token of a device, its claim jti, by which it can be revoked."`
	TTL             time.Duration `name:"ttl" default:"8760h" help:"How long the token is valid; 0 is forever."`
	DataDir         string        `default:"${data_dir}" type:"path" help:"Data directory of the node."`
	SecretFile      string        `default:"" type:"path" help:"Secret to sign with; default DATA_DIR/device.secret, which the first start of a node makes."`
	NewSecret       bool          `default:"false" help:"Make DATA_DIR/device.secret if it is missing, for a node that has not been started yet."`
	AdminTokensFile string        `default:"" type:"path" help:"File of the admin tokens; default DATA_DIR/admin.tokens, made if missing."`
}

// Run prints the token.
func (t *tokenCmd) Run(io *streams) error {
	if t.TTL < 0 {
		return usageError{fmt.Errorf("--ttl=%s must not be negative; 0 is forever", t.TTL)}
	}
	if (t.Device == "") == (t.Admin == "") {
		return usageError{errors.New("give --device for a token of a device, or --admin for one of the admin API")}
	}
	if t.Tenant != nil && *t.Tenant == "" { // a script's variable that is not set must not make a token for all tenants
		return usageError{errors.New("--tenant is empty: give a name, or leave it out")}
	}
	issued := time.Now()
	var expires time.Time
	if t.TTL > 0 {
		expires = issued.Add(t.TTL)
	}
	issue := t.device
	if t.Admin != "" {
		issue = t.admin
	}
	token, err := issue(io, issued, expires)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(io.out, token)
	return err
}

func (t *tokenCmd) device(_ *streams, issued, expires time.Time) (string, error) {
	if len(t.Scope) > 0 {
		return "", usageError{errors.New("--scope goes with --admin: what a device may do is --topic, --group and --command")}
	}
	tenant := auth.DefaultTenant
	if t.Tenant != nil {
		tenant = *t.Tenant
	}
	for kind, name := range map[string]string{"device": t.Device, "tenant": tenant} {
		if err := auth.CheckName(kind, name); err != nil {
			return "", usageError{err}
		}
	}
	secret := t.SecretFile
	if secret == "" {
		var err error
		if secret, err = t.secret(); err != nil {
			return "", err
		}
	}
	return auth.Sign(secret, auth.Claims{
		Tenant: tenant, Device: t.Device, Topics: t.Topic, Groups: t.Group, Commands: t.Command, IssuedAt: issued, Expires: expires,
		Audience: t.Audience, Issuer: t.Issuer, TokenID: t.JTI,
	})
}

// secret is the path of the node's own secret. One that is made in the wrong directory
// signs tokens that no node takes.
func (t *tokenCmd) secret() (path string, err error) {
	path = filepath.Join(t.DataDir, auth.SecretName)
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) && !t.NewSecret {
		return "", fmt.Errorf("no node has run in %s: it has no %s; name the node's directory with --data-dir, or the secret with --secret-file, or give --new-secret before its first start", t.DataDir, auth.SecretName)
	}
	path, _, err = auth.EnsureSecret(t.DataDir)
	return path, err
}

// admin makes a token and has its hash in the tokens file.
func (t *tokenCmd) admin(io *streams, _, expires time.Time) (string, error) {
	if len(t.Topic)+len(t.Group)+len(t.Command) > 0 || t.SecretFile != "" || t.Audience != "" || t.Issuer != "" || t.JTI != "" {
		return "", usageError{errors.New("--topic, --group, --command, --secret-file, --audience, --issuer and --jti go with --device")}
	}
	scopes, err := access.ParseScopes(t.Scope)
	if err != nil {
		return "", usageError{fmt.Errorf("--scope: %w", err)}
	}
	path := t.AdminTokensFile
	if path == "" {
		path = adminTokensFile(t.DataDir)
		if _, err := os.Stat(t.DataDir); errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("no node has run in %s: there is no such directory; name the node's with --data-dir, or the file with --admin-tokens-file", t.DataDir)
		}
	}
	random := [32]byte{}
	if _, err := rand.Read(random[:]); err != nil {
		return "", fmt.Errorf("random bytes: %w", err)
	}
	token := base64.RawURLEncoding.EncodeToString(random[:])
	p := access.Principal{Name: t.Admin, Hash: access.HashOf(token), Scopes: scopes}
	if t.Tenant != nil {
		p.Tenant = *t.Tenant
	}
	if !expires.IsZero() {
		p.Expires = expires.UTC().Truncate(time.Second)
	}
	if err := addToken(path, &p); err != nil {
		return "", err
	}
	fmt.Fprintf(io.err, "added %s to %s; a running node takes it within some seconds, or at once after SIGHUP\n", t.Admin, path)
	return token, nil
}
