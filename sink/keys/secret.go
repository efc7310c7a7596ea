package keys

import (
	"fmt"
	"os"
	"strings"
)

// A Secret is a credential that lies in a file or in the environment, never in the
// configuration. It is never shown. The zero value is none.
type Secret struct{ file, env string }

// Secret gives the credential that KEY_file or KEY_env names. It must be readable now.
func (m *Map) Secret(key string) Secret {
	s := Secret{m.Text(key+"_file", ""), m.Text(key+"_env", "")}
	if m.Has(key) {
		m.take(key)
		m.fail(key, fmt.Sprintf("a secret is not written into the configuration: give %s_file or %s_env", key, key))
	}
	if s.file != "" && s.env != "" {
		m.fail(key+"_file", fmt.Sprintf("is there with %s_env: leave one out", key))
	}
	if _, err := s.Read(); err != nil {
		which := key + "_file"
		if s.env != "" {
			which = key + "_env"
		}
		m.fail(which, err.Error())
	}
	return s
}

// Given says whether there is one.
func (s Secret) Given() bool { return s.file != "" || s.env != "" }

// Read gives the credential, "" if there is none. A file is read each time, so that one
// that was put right counts from the next attempt.
func (s Secret) Read() (string, error) {
	switch {
	case s.file != "":
		b, err := os.ReadFile(s.file)
		if err != nil {
			return "", fmt.Errorf("%w: give a file that the node may read", err)
		}
		if text := strings.TrimSpace(string(b)); text != "" {
			return text, nil
		}
		return "", fmt.Errorf("%s is empty: put the secret into it", s.file)
	case s.env != "":
		if text := os.Getenv(s.env); text != "" {
			return text, nil
		}
		return "", fmt.Errorf("the environment has no %s: set it", s.env)
	}
	return "", nil
}

// String shows nothing.
func (s Secret) String() string { return "[secret]" }
