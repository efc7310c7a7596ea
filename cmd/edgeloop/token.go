package main

import (
	"fmt"
	"time"

	"edgeloop/auth"
)

// tokenCmd signs a token with the node's secret.
type tokenCmd struct {
	Device     string        `required:"" help:"Name of the device: 1 to 128 letters, digits and . _ : @ -"`
	Tenant     string        `default:"default" help:"Tenant of the device."`
	Topic      []string      `help:"Topic pattern that the device may send to, as in MQTT (+ and #); may be repeated. Default: all."`
	TTL        time.Duration `name:"ttl" default:"8760h" help:"How long the token is good for; 0 is for ever."`
	DataDir    string        `default:"data" type:"path" help:"Data directory of the node."`
	SecretFile string        `default:"" type:"path" help:"Secret to sign with; default DATA_DIR/device.secret, made if missing."`
}

// Run prints the token.
func (t *tokenCmd) Run(io *streams) error {
	for kind, name := range map[string]string{"device": t.Device, "tenant": t.Tenant} {
		if err := auth.CheckName(kind, name); err != nil {
			return usageError{err}
		}
	}
	if t.TTL < 0 {
		return usageError{fmt.Errorf("--ttl=%s must not be negative; 0 is for ever", t.TTL)}
	}
	secret := t.SecretFile
	if secret == "" {
		var err error
		if secret, _, err = auth.EnsureSecret(t.DataDir); err != nil {
			return err
		}
	}
	claims := auth.Claims{Tenant: t.Tenant, Device: t.Device, Topics: t.Topic, IssuedAt: time.Now()}
	if t.TTL > 0 {
		claims.Expires = claims.IssuedAt.Add(t.TTL)
	}
	token, err := auth.Sign(secret, claims)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(io.out, token)
	return err
}
