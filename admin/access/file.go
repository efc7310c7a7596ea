package access

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// MaxPrincipals is how many lines a tokens file may have: each costs a comparison
// for each request.
const MaxPrincipals = 1000

// maxName keeps a line of the audit readable.
const maxName = 64

// LineError is what is wrong with a line of a tokens file, and what to do about it.
type LineError struct {
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

func (e *LineError) Unwrap() error { return e.Err }

// line is how a principal is written down.
type line struct {
	Name    string     `json:"name"`
	Hash    string     `json:"sha256"`
	Scopes  []string   `json:"scopes"`
	Tenant  string     `json:"tenant,omitempty"`
	Expires *time.Time `json:"expires,omitempty"`
}

// Line is the principal as a line of the file, without a line break.
func (p *Principal) Line() ([]byte, error) {
	l := line{Name: p.Name, Hash: hex.EncodeToString(p.Hash[:]), Scopes: p.Scopes.Words(), Tenant: p.Tenant}
	if !p.Expires.IsZero() {
		l.Expires = &p.Expires
	}
	return json.Marshal(l)
}

// Parse reads a tokens file: one JSON object a line; empty lines, and those that begin
// with #, are passed over. checkName judges names. Names and tokens are there once.
func Parse(file []byte, checkName func(kind, name string) error) ([]Principal, error) {
	var all []Principal
	names, hashes := map[string]int{}, map[Hash]int{}
	number := 0
	for text := range bytes.Lines(file) {
		number++
		if text = bytes.TrimSpace(text); len(text) == 0 || text[0] == '#' {
			continue
		}
		p, err := parseLine(text, checkName)
		before, twice := names[p.Name]
		same, known := hashes[p.Hash]
		switch {
		case err != nil:
		case twice:
			err = fmt.Errorf("name %q is that of line %d: give each token a name of its own", p.Name, before)
		case known:
			err = fmt.Errorf("the token is that of line %d: remove one of them, a token has one line", same)
		case len(all) == MaxPrincipals:
			err = fmt.Errorf("there are more than %d tokens: remove those that have expired", MaxPrincipals)
		}
		if err != nil {
			return nil, &LineError{number, err}
		}
		names[p.Name], hashes[p.Hash] = number, number
		all = append(all, p)
	}
	return all, nil
}

func parseLine(text []byte, checkName func(kind, name string) error) (p Principal, err error) {
	var l line
	if err := l.decode(text); err != nil {
		return p, err
	}
	p = Principal{Name: l.Name, Tenant: l.Tenant}
	if err := checkName("token", l.Name); err != nil {
		return p, err
	}
	if len(l.Name) > maxName {
		return p, fmt.Errorf("the name has %d bytes: give at most %d", len(l.Name), maxName)
	}
	if l.Tenant != "" {
		if err := checkName("tenant", l.Tenant); err != nil {
			return p, err
		}
	}
	if n, err := hex.Decode(p.Hash[:], []byte(l.Hash[:min(len(l.Hash), 2*len(p.Hash))])); err != nil || n != len(p.Hash) || len(l.Hash) != 2*n {
		return p, errors.New("sha256 is not a hash: give the 64 hexadecimal digits of the token's SHA-256, as 'printf %s TOKEN | sha256sum' prints them")
	}
	if p.Hash == HashOf("") {
		return p, errors.New("sha256 is the hash of an empty token: make a token with 'edgeloop token --admin'")
	}
	if p.Scopes, err = ParseScopes(l.Scopes); err != nil {
		return p, err
	}
	if p.Tenant != "" && p.Scopes.Has(Metrics) {
		return p, errors.New("the scope metrics does not go with a tenant: the series are of the whole node; leave one of them out")
	}
	if l.Expires != nil {
		if l.Expires.IsZero() {
			return p, errors.New("expires is the year 1: leave it out for a token that never expires")
		}
		p.Expires = *l.Expires
	}
	return p, nil
}

// decode reads one object, with members that are known, each once, as they are
// spelt: what two readers could understand in two ways is refused.
func (l *line) decode(text []byte) error {
	const want = `give one JSON object, as in {"name":"grafana","sha256":"…","scopes":["metrics"],"expires":"2027-01-31T00:00:00Z"}`
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return errors.New("it is not a JSON object: " + want)
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return fmt.Errorf("%w: %s", err, want)
		}
		name, _ := t.(string) // always one, as a member's name
		into := map[string]any{"name": &l.Name, "sha256": &l.Hash, "scopes": &l.Scopes, "tenant": &l.Tenant, "expires": &l.Expires}[name]
		switch {
		case into == nil:
			return fmt.Errorf("member %.40q is not known: give name, sha256, scopes, tenant, expires", name)
		case seen[name]:
			return fmt.Errorf("member %q is there twice: give it once", name)
		}
		seen[name] = true
		if err := d.Decode(into); err != nil {
			return fmt.Errorf("member %q cannot be read: %s", name, want)
		}
		if empty := name == "tenant" && l.Tenant == "" || name == "expires" && l.Expires == nil; empty {
			return fmt.Errorf("member %q is empty: give one, or leave the member out", name)
		}
	}
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("%w: %s", err, want)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one object: " + want)
	}
	return nil
}
