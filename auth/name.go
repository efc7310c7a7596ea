package auth

import "fmt"

const maxNameLength = 128

// CheckName checks the name of a tenant or device; kind says which, for the error.
// Allowed are 1 to 128 letters a-z and A-Z, digits and . _ : @ - except "." and "..",
// which the path of a URL cannot hold.
func CheckName(kind, s string) error {
	if s == "" {
		return fmt.Errorf("%s name is missing: allowed are 1 to %d letters, digits and . _ : @ -", kind, maxNameLength)
	}
	if len(s) > maxNameLength {
		return fmt.Errorf("%s name is %d bytes: allowed are up to %d", kind, len(s), maxNameLength)
	}
	if s == "." || s == ".." {
		return fmt.Errorf("%s name is %q: allowed are names that are not only dots", kind, s)
	}
	for i := range len(s) {
		if !nameByte(s[i]) {
			return fmt.Errorf("%s name %q: allowed are letters, digits and . _ : @ -", kind, s)
		}
	}
	return nil
}

func nameByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '.' || c == '_' || c == ':' || c == '@' || c == '-'
}
