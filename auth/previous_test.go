package auth_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"edgeloop/auth"
)

// A secret is replaced in steps, and at each of them every device that may come
// comes in: with the old secret's token until the old file is gone, with the new
// one's from the moment that the new file is there.
func TestVerifier_SecretIsReplaced(t *testing.T) {
	dir := t.TempDir()
	path, _, err := auth.EnsureSecret(dir)
	if err != nil {
		t.Fatal(err)
	}
	sign := func() string {
		token, err := auth.Sign(path, auth.Claims{Device: "d1", IssuedAt: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	before := sign()
	v, err := auth.New(auth.Config{SecretFile: path})
	if err != nil {
		t.Fatal(err)
	}
	if auth.Moved(path) {
		t.Error("moved, before it was")
	}
	if err := os.Rename(path, path+".previous"); err != nil {
		t.Fatal(err)
	}
	if !auth.Moved(path) {
		t.Error("not moved, although it was")
	}
	if err := v.Reload(); err == nil {
		t.Error("reloaded without a secret")
	}
	if _, _, err := auth.EnsureSecret(dir); err != nil {
		t.Fatal(err)
	}
	after := sign()
	want := func(step string, old, renewed error) {
		t.Helper()
		if _, err := v.Verify([]byte(before)); !errors.Is(err, old) {
			t.Errorf("%s, the old token: %v, want %v", step, err, old)
		}
		if _, err := v.Verify([]byte(after)); !errors.Is(err, renewed) {
			t.Errorf("%s, the new token: %v, want %v", step, err, renewed)
		}
	}
	want("before the first reload", nil, auth.ErrSignature)

	use, _, err := v.Load()
	if err != nil {
		t.Fatal(err)
	}
	want("loaded, not in use", nil, auth.ErrSignature)
	use()
	want("both in use", nil, nil)

	if err := os.Remove(path + ".previous"); err != nil {
		t.Fatal(err)
	}
	if err := v.Reload(); err != nil {
		t.Fatal(err)
	}
	want("the old one gone", auth.ErrSignature, nil)
}

func TestReadTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.token")
	one, _, err := auth.EnsureToken(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path, path+".previous"); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.ReadTokens(path); err == nil {
		t.Error("the previous token alone is taken for one")
	}
	two, _, err := auth.EnsureToken(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := auth.ReadTokens(path); err != nil || !slices.Equal(got, []string{two, one}) {
		t.Errorf("got %q, %v; want the new one and the old one", got, err)
	}
	if err := os.Chmod(path+".previous", 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := auth.ReadTokens(path); err == nil {
		t.Error("a previous token that others may read is taken")
	}
}
