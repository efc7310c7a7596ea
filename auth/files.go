package auth

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"edgeloop/internal/filemode"
)

// SecretName is the name of the device secret in a data directory.
const SecretName = "device.secret"

const maxFile = 64 << 10 // bytes, far more than any key file

// forbidden is a set of permission bits that a file must not have, where they are not those
// of a group of this process (filemode).
type forbidden fs.FileMode

const (
	// othersMayNot allows reading by the group, because systems that provide secrets
	// as files grant a service access by its group.
	othersMayNot      forbidden = 0o027
	othersMayNotWrite forbidden = 0o022
)

// readFile checks who else may read a small key file, and reads it.
func readFile(path, what string, bits forbidden) ([]byte, error) {
	return readFileUpTo(maxFile, path, what, bits)
}

// readFileUpTo is readFile for files of up to most bytes.
func readFileUpTo(most int64, path, what string, bits forbidden) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	mode := info.Mode()
	if !mode.IsRegular() {
		return nil, fmt.Errorf("%s %s is not a regular file", what, path)
	}
	if open := filemode.Open(info, fs.FileMode(bits)); open != 0 {
		return nil, fmt.Errorf("%s %s has mode %04o, which gives others access: run \"chmod %04o %s\"",
			what, path, mode.Perm(), mode.Perm()&^open, path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	if int64(len(b)) > most {
		return nil, fmt.Errorf("%s %s is longer than %d bytes and cannot be a key", what, path, most)
	}
	return b, nil
}

// EnsureSecret returns the path of the device secret under dataDir. If missing, it
// creates the directory and a secret of 32 random bytes in base64, mode 0600; created
// says whether it did. It checks an existing secret.
func EnsureSecret(dataDir string) (path string, created bool, err error) {
	path = filepath.Join(dataDir, SecretName)
	if created, err = ensureFile(path, base64.StdEncoding); err != nil {
		return "", false, err
	}
	_, err = readSecret(path)
	return path, created, err
}

// EnsureToken returns the admin token in the file path. If missing, it creates one of
// 32 random bytes in base64url, mode 0600; created says whether it did.
func EnsureToken(path string) (token string, created bool, err error) {
	if created, err = ensureFile(path, base64.RawURLEncoding); err != nil {
		return "", false, err
	}
	token, err = ReadToken(path)
	return token, created, err
}

// ReadToken returns the admin token in the file path.
func ReadToken(path string) (token string, err error) {
	const least = 16
	b, err := readFile(path, "token file", othersMayNot)
	if err != nil {
		return "", err
	}
	b = bytes.TrimSpace(b)
	if len(b) < least || bytes.ContainsFunc(b, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("token file %s must hold one token of %d or more printable ASCII characters: delete it, and the node makes one", path, least)
	}
	return string(b), nil
}

// ReadTokens returns the admin token in the file path and, while PATH.previous exists,
// the previous one.
func ReadTokens(path string) (tokens []string, err error) {
	return withPrevious(path, ReadToken)
}

// ensureFile creates the file path with 32 random bytes if it is missing. When several
// processes start at once, one creates it, and none sees half a file.
func ensureFile(path string, encoding *base64.Encoding) (created bool, err error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, err
	}
	random := make([]byte, 32)
	if _, err := rand.Read(random); err != nil {
		return false, fmt.Errorf("random bytes for %s: %w", path, err)
	}
	draft, err := writeDraft(dir, encoding.EncodeToString(random)+"\n")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.Remove(draft) }()
	switch err := os.Link(draft, path); {
	case errors.Is(err, fs.ErrExist):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, syncDir(dir)
}

// writeDraft writes a file of mode 0600 and syncs it before it returns.
func writeDraft(dir, content string) (path string, err error) {
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return "", err
	}
	_, err = f.WriteString(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return f.Name(), err
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
