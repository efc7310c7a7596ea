package servers

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/nats-io/nats.go"

	"edgeloop/internal/redact"
)

// Access is how this node shows servers elsewhere who it is, and how it knows them: names of
// files, which are read again for every connection, so that what they hold can be replaced
// while the node runs. The zero value shows nothing.
type Access struct {
	Creds        string // a user's JWT and seed, as 'nsc' and 'nats auth' write them
	User         string // goes with PasswordFile
	PasswordFile string
	TokenFile    string
	CA           string // authorities of the servers' certificates, PEM; "": the system's
	Cert, Key    string // of this node, PEM, for servers that verify who connects
}

// AccessError says which member of Access cannot be used. It quotes nothing of the file.
type AccessError struct {
	Member string // as it is called in settings: creds, user, password-file, …
	Path   string
	Cause  error
}

func (e *AccessError) Error() string { return fmt.Sprintf("%s=%s: %v", e.Member, e.Path, e.Cause) }

// Unwrap returns the cause.
func (e *AccessError) Unwrap() error { return e.Cause }

// Check reads every file, and returns an *AccessError for the first that cannot be used.
func (a Access) Check() error {
	ways := 0
	for _, given := range []bool{a.Creds != "", a.User != "" || a.PasswordFile != "", a.TokenFile != ""} {
		if given {
			ways++
		}
	}
	switch {
	case ways > 1:
		return &AccessError{"creds", a.Creds, errors.New("give one kind of credentials: a file of credentials, a user with a password, or a token")}
	case (a.User == "") != (a.PasswordFile == ""):
		return &AccessError{"user", a.User, errors.New("it goes with a password: give both password-file and user, or none")}
	case (a.Cert == "") != (a.Key == ""):
		return &AccessError{"cert", a.Cert, errors.New("a certificate goes with its key: give both cert and key, or none")}
	}
	for _, one := range []struct {
		member, path string
		check        func(string) error
	}{
		{"creds", a.Creds, checkCreds},
		{"password-file", a.PasswordFile, checkSecret},
		{"token-file", a.TokenFile, checkSecret},
		{"ca", a.CA, checkCA},
		{"key", a.Key, func(key string) error { return checkPair(a.Cert, key) }},
	} {
		if one.path == "" {
			continue
		}
		if err := one.check(one.path); err != nil {
			return &AccessError{one.member, one.path, err}
		}
	}
	return nil
}

// options has nats.go read the files whenever it connects.
func (a Access) options() (o []nats.Option) {
	if a.Creds != "" {
		o = append(o, nats.UserCredentials(a.Creds))
	}
	if a.PasswordFile != "" {
		o = append(o, nats.UserInfoHandler(func() (user, password string) {
			password, _ = readSecret(a.PasswordFile) // without one the server refuses, and that is said
			return a.User, password
		}))
	}
	if a.TokenFile != "" {
		o = append(o, nats.TokenHandler(func() string {
			token, _ := readSecret(a.TokenFile) // the same
			return token
		}))
	}
	if a.CA != "" {
		o = append(o, nats.RootCAs(a.CA))
	}
	if a.Cert != "" {
		o = append(o, nats.ClientCert(a.Cert, a.Key))
	}
	return o
}

// readSecret reads a file with one secret: its group may read it at the most, and a line's
// end is no part of it.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", plainError(err)
	}
	if mode := info.Mode().Perm(); info.Mode().IsRegular() && mode&0o027 != 0 {
		return "", fmt.Errorf("it has mode %04o, which gives others access: run \"chmod %04o %s\"", mode, mode&^0o027, path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", plainError(err)
	}
	text := strings.TrimRight(string(b), "\r\n")
	if text == "" {
		return "", errors.New("it is empty")
	}
	return text, nil
}

func checkSecret(path string) error {
	_, err := readSecret(path)
	return err
}

func checkCreds(path string) error {
	text, err := readSecret(path)
	if err != nil {
		return err
	}
	for _, part := range []string{"-----BEGIN NATS USER JWT-----", "-----BEGIN USER NKEY SEED-----"} {
		if !strings.Contains(text, part) {
			return fmt.Errorf("it has no line %q: give a file as 'nsc generate creds' writes it", part)
		}
	}
	return nil
}

func checkCA(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return plainError(err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(b) {
		return errors.New("it has no certificate: give a PEM file")
	}
	return nil
}

func checkPair(cert, key string) error {
	if _, err := readSecret(key); err != nil {
		return err
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		return fmt.Errorf("with the certificate %s: %w", cert, plainError(err))
	}
	return nil
}

// plainError strips the name of the file from an error, because the caller has said it.
func plainError(err error) error {
	var of *os.PathError
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// withoutSecrets is an error as it may be shown: without what URLs have before their @.
func withoutSecrets(err error) error {
	if err == nil {
		return nil
	}
	if text := redact.URL(err.Error()); text != err.Error() {
		return errors.New(text)
	}
	return err
}
