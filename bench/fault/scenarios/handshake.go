package scenarios

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"edgeloop/bench/fault/attack"
	"edgeloop/bench/fault/crew"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/bench/fault/node"
)

// Bounds of a node under attack by strangers.
const (
	strangersMemory = 160 << 20 // more than at rest
	handshakes      = 512       // --max-handshakes, the node's own default
	backlog         = 4096      // of the listener: it may have been accepted at once, and lie unread
)

// setupStrangers makes the node require tokens and gives it sixteen keys, of which it has to try the
// nameless ones.
func setupStrangers(_ context.Context, l *life.Life) error { return setupTokens(l, 16) }

// actStrangers has thousands of peers send a bad token, with bytes behind it that the node must not
// keep.
func actStrangers(ctx context.Context, l *life.Life) error {
	token, err := crew.StrangersToken()
	if err != nil {
		return err
	}
	u, err := node.ReadUsage(l.Node.PID())
	if err != nil {
		return err
	}
	b := life.Bounds{Memory: u.RSS + strangersMemory, Descriptors: u.FDs + 2*handshakes + backlog, Join99: 5 * time.Second}
	return l.Beside(ctx, b, func(ctx context.Context) error {
		t, err := l.Attack(ctx, attack.Attack{Kind: "bad-token", Count: l.Many(6000), For: 6 * time.Second, Size: 128 << 10, Token: token})
		if err == nil && t["answered 401"] == 0 {
			return fmt.Errorf("fault: no bad token was answered with 401: %s", t)
		}
		return err
	})
}

// actSilent has thousands of peers a second connect and say nothing, to a node with 3,000
// descriptors. The log must still get those that it needs for its next block.
func actSilent(ctx context.Context, l *life.Life) error {
	err := l.Beside(ctx, life.Bounds{Join99: 2 * time.Second}, func(ctx context.Context) error {
		_, err := l.Attack(ctx, attack.Attack{Kind: "silent", Count: l.Many(12000), Rate: 2000, For: 8 * time.Second})
		return err
	})
	said, readErr := os.ReadFile(l.Node.Log)
	if bytes.Contains(said, []byte(unix.EMFILE.Error())) {
		l.Journal.Break(history.Violation{Promise: history.Resources, Detail: "the node lacked descriptors: its log says " + unix.EMFILE.Error()})
	}
	return errors.Join(err, readErr)
}

// namelessKeys is how many nameless keys of one algorithm a node accepts. It tries each of them with
// every token that names no key.
const namelessKeys = 4

// setupTokens makes the node require tokens, and gives it a secret and some public keys.
func setupTokens(l *life.Life, publicKeys int) error {
	dir := filepath.Dir(l.Node.Dir)
	secret := []byte(fmt.Sprintf("the secret of seed %032d", l.Options.Seed))
	file := filepath.Join(dir, "device.secret")
	if err := os.WriteFile(file, secret, 0o600); err != nil {
		return err
	}
	l.Secret = file
	l.Token = func(device string) string { return crew.SignToken(secret, device) }
	l.Node.Flags = append(l.Node.Flags, "--auth=jwt", "--secret-file="+file)
	if publicKeys == 0 {
		return nil
	}
	var all []byte
	for i := range publicKeys {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return err
		}
		der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
		if err != nil {
			return err
		}
		block := &pem.Block{Type: "PUBLIC KEY", Bytes: der}
		if i >= namelessKeys {
			block.Headers = map[string]string{"kid": fmt.Sprintf("key-%d", i)}
		}
		all = append(all, pem.EncodeToMemory(block)...)
	}
	keys := filepath.Join(dir, "keys.pem")
	l.Node.Flags = append(l.Node.Flags, "--public-key-file="+keys)
	return os.WriteFile(keys, all, 0o600)
}
