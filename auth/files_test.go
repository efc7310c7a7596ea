package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"edgeloop/auth"
)

func TestEnsureSecret(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	path, created, err := auth.EnsureSecret(dir)
	if err != nil || !created || path != filepath.Join(dir, auth.SecretName) {
		t.Fatalf("got %q, %v, %v", path, created, err)
	}
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || len(first) != 45 {
		t.Errorf("%d bytes with mode %v, want 45 with 0600 (%v)", len(first), info.Mode(), err)
	}
	if _, created, err := auth.EnsureSecret(dir); err != nil || created {
		t.Errorf("the second time: created %v, %v", created, err)
	}
	second, err := os.ReadFile(path)
	if err != nil || string(second) != string(first) {
		t.Errorf("the secret changed (%v)", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("the directory holds %v, want the secret alone (%v)", entries, err)
	}
	other, _, err := auth.EnsureSecret(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(other); err != nil || string(b) == string(first) {
		t.Errorf("two nodes got the same secret (%v)", err)
	}
}

// Several processes start on one directory: they all end with one token.
func TestEnsureToken_Together(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.token")
	tokens := make([]string, 8)
	makers := make([]bool, len(tokens))
	var wg sync.WaitGroup
	for i := range tokens {
		wg.Go(func() {
			var err error
			if tokens[i], makers[i], err = auth.EnsureToken(path); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	made := 0
	for i := range tokens {
		if tokens[i] != tokens[0] || len(tokens[i]) != 43 {
			t.Errorf("token %q, want the same 43 characters for all", tokens[i])
		}
		if makers[i] {
			made++
		}
	}
	if made != 1 {
		t.Errorf("%d say that they made it, want 1", made)
	}
	read, err := auth.ReadToken(path)
	if err != nil || read != tokens[0] {
		t.Errorf("ReadToken reads %q, %v, want %q", read, err, tokens[0])
	}
}

// Whatever is wrong with a key file, the error names the file and the fix.
func TestNew_FileErrors(t *testing.T) {
	ec384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GODEBUG", "rsa1024min=0")
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(ec384)
	if err != nil {
		t.Fatal(err)
	}
	privatePEM := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
	tests := []struct {
		name    string
		secret  bool
		mode    os.FileMode
		content string
		want    string
	}{
		{"secret that all may read", true, 0o644, testSecret, "chmod 0640"},
		{"secret that all may read, and a group write", true, 0o664, testSecret, "chmod 0660"},
		{"secret too short", true, 0o600, "hunter2\n", "openssl rand"},
		{"secret empty", true, 0o600, "", "openssl rand"},
		{"secret that is a public key", true, 0o600, publicPEM(t, ec384.Public()), "public key file"},
		{"secret far too long", true, 0o600, strings.Repeat("x", 65<<10), "cannot be a key"},
		{"public key that all may write", false, 0o666, publicPEM(t, ec384.Public()), "chmod 0664"},
		{"public key of another curve", false, 0o644, publicPEM(t, ec384.Public()), "P-256"},
		{"RSA key too short", false, 0o644, publicPEM(t, short.Public()), "2048"},
		{"private key", false, 0o644, privatePEM, "-pubout"},
		{"no PEM at all", false, 0o644, testSecret, "-pubout"},
		{"a certificate", false, 0o644, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "allowed are PUBLIC KEY"},
		{"broken DER", false, 0o644, "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "parse PUBLIC KEY"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := writeFile(t, tt.mode, tt.content)
			cfg := auth.Config{PublicKeyFile: path}
			if tt.secret {
				cfg = auth.Config{SecretFile: path}
			}
			_, err := auth.New(cfg)
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error that names the file and %q", err, tt.want)
			}
		})
	}
	for name, cfg := range map[string]auth.Config{
		"no file":        {},
		"missing file":   {SecretFile: filepath.Join(t.TempDir(), "none")},
		"a directory":    {SecretFile: t.TempDir()},
		"negative cache": {SecretFile: writeFile(t, 0o600, testSecret), CacheSize: -1},
	} {
		if v, err := auth.New(cfg); err == nil || v != nil {
			t.Errorf("%s: got %v, %v, want an error", name, v, err)
		}
	}
	for name, content := range map[string]string{"empty": "", "short": "abc", "two lines": testSecret + "\n" + testSecret} {
		if token, err := auth.ReadToken(writeFile(t, 0o600, content)); err == nil {
			t.Errorf("%s: took the admin token %q", name, token)
		}
	}
}

// Kubernetes makes the files of a volume with an fsGroup 0660: a node that made its secret
// there must start again.
func TestVerifier_SecretOfAGroup(t *testing.T) {
	for _, mode := range []os.FileMode{0o660, 0o440, 0o640} {
		if _, err := auth.New(auth.Config{SecretFile: writeFile(t, mode, testSecret)}); err != nil {
			t.Errorf("%04o: %v", mode, err)
		}
	}
}
