package auth

import "errors"

// EnsureSecret returns the path of the device secret under dataDir and makes
// directory and secret if they are missing: 32 random bytes in base64, mode
// 0600. created says whether it did.
func EnsureSecret(dataDir string) (path string, created bool, err error) {
	return "", false, errors.New("auth: not built yet")
}

// EnsureToken returns the admin token in the file path, and makes it if it is
// missing: 32 random bytes in base64url, mode 0600.
func EnsureToken(path string) (token string, created bool, err error) {
	return "", false, errors.New("auth: not built yet")
}

// ReadToken returns the admin token in the file path.
func ReadToken(path string) (token string, err error) { return "", errors.New("auth: not built yet") }

// EqualToken compares two tokens in a time that says nothing about where they
// differ, nor about the length of want.
func EqualToken(got []byte, want string) bool { return false }
