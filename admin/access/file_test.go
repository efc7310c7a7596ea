package access_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"edgeloop/admin/access"
)

const hash = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b" // of "secret"

func checkName(kind, name string) error {
	if name == "" || strings.ContainsAny(name, " /\n") {
		return fmt.Errorf("%s name %q is none", kind, name)
	}
	return nil
}

// with is a good line, with another text in place of one.
func with(old, text string) string {
	const good = `{"name":"a","sha256":"` + hash + `","scopes":["read"]}`
	return strings.Replace(good, old, text, 1)
}

// TestParse_Refused: what is wrong with a file is said with its line and a remedy.
func TestParse_Refused(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"no JSON":            {"name=a", "give one JSON object"},
		"a list":             {"[" + with("", "") + "]", "give one JSON object"},
		"cut off":            {with("]}", "]"), "give one JSON object"},
		"two objects":        {with("", "") + with("", ""), "more than one object"},
		"an unknown member":  {with(`"name"`, `"token":"x","name"`), "give name, sha256"},
		"another case":       {with(`"scopes"`, `"Scopes"`), "give name, sha256"},
		"a member twice":     {with(`"scopes"`, `"scopes":["admin"],"scopes"`), "there twice"},
		"no name":            {with(`"name":"a",`, ""), "is none"},
		"a bad name":         {with(`"a"`, `"a b"`), "is none"},
		"a long name":        {with(`"a"`, `"`+strings.Repeat("a", 65)+`"`), "at most 64"},
		"no hash":            {with(`"sha256":"`+hash+`",`, ""), "64 hexadecimal digits"},
		"half a hash":        {with(hash, hash[:32]), "64 hexadecimal digits"},
		"more than a hash":   {with(hash, hash+"00"), "64 hexadecimal digits"},
		"the token itself":   {with(hash, "0123456789abcdef0123456789abcdeg"), "64 hexadecimal digits"},
		"of the empty token": {with(hash, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), "empty token"},
		"no scopes":          {with(`["read"]`, `[]`), "give some of"},
		"an unknown scope":   {with(`"read"`, `"write"`), "give some of metrics, read, command, admin"},
		"no scope's name":    {with(`"read"`, `""`), "give some of"},
		"a scope twice":      {with(`"read"`, `"read","read"`), "twice"},
		"scopes in a string": {with(`["read"]`, `"read"`), "cannot be read"},
		"metrics of one":     {with(`["read"]`, `["read","metrics"],"tenant":"t"`), "whole node"},
		"an empty tenant":    {with(`["read"]`, `["read"],"tenant":""`), "leave the member out"},
		"tenant null":        {with(`["read"]`, `["read"],"tenant":null`), "leave the member out"},
		"a bad tenant":       {with(`["read"]`, `["read"],"tenant":"a/b"`), "is none"},
		"expires null":       {with(`["read"]`, `["read"],"expires":null`), "leave the member out"},
		"expires in words":   {with(`["read"]`, `["read"],"expires":"tomorrow"`), "cannot be read"},
		"a name twice":       {with("", "") + "\n" + with(hash, strings.Repeat("0", 64)), "that of line 2"},
		"a token twice":      {with("", "") + "\n" + with(`"a"`, `"b"`), "that of line 2"},
		"in upper case":      {with("", "") + "\n" + with(`"a","sha256":"`+hash, `"b","sha256":"`+strings.ToUpper(hash)), "that of line 2"},
	} {
		t.Run(name, func(t *testing.T) {
			file := "# comment\n" + c.file + "\n"
			line := strings.Count(file, "\n")
			all, err := access.Parse([]byte(file), checkName)
			var at *access.LineError
			if !errors.As(err, &at) || at.Line != line || all != nil {
				t.Fatalf("%v, %v, want an error of line %d", all, err, line)
			}
			if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "Go ") {
				t.Errorf("%q does not say %q", err, c.want)
			}
		})
	}
}

// TestParse_WhatLineWrites: a line that was written is read as the same.
func TestParse_WhatLineWrites(t *testing.T) {
	var file []byte
	given := []access.Principal{
		{Name: "all", Hash: access.HashOf("one"), Scopes: access.AllScopes},
		{Name: "bound", Hash: access.HashOf("two"), Scopes: 1<<access.Read | 1<<access.Command, Tenant: "acme", Expires: time.Now().UTC().Truncate(time.Second)},
	}
	for i := range given {
		line, err := given[i].Line()
		if err != nil {
			t.Fatal(err)
		}
		file = append(append(file, line...), "\r\n\n"...)
	}
	all, err := access.Parse(file, checkName)
	if err != nil || len(all) != len(given) {
		t.Fatalf("%v, %v of %s", all, err, file)
	}
	for i := range all {
		if !all[i].Equal(&given[i]) {
			t.Errorf("%+v became %+v", given[i], all[i])
		}
	}
}

func TestParse_Upper(t *testing.T) {
	all, err := access.Parse([]byte(with(hash, strings.ToUpper(hash))), checkName)
	if err != nil || all[0].Hash != access.HashOf("secret") {
		t.Errorf("a hash in upper case: %v, %v", all, err)
	}
}

func TestParse_TooMany(t *testing.T) {
	var file strings.Builder
	for i := range access.MaxPrincipals + 1 {
		file.WriteString(with(`"a","sha256":"`+hash, fmt.Sprintf(`"n%d","sha256":"%064x`, i, i)) + "\n")
	}
	var at *access.LineError
	if _, err := access.Parse([]byte(file.String()), checkName); !errors.As(err, &at) || at.Line != access.MaxPrincipals+1 {
		t.Errorf("%v", err)
	}
}

func TestFind(t *testing.T) {
	all := []access.Principal{access.Own("short", "short"), access.Own("a", "0123456789abcdef"), access.Own("b", "fedcba9876543210")}
	self := func(p *access.Principal) *access.Principal { return p }
	for token, want := range map[string]int{"0123456789abcdef": 1, "fedcba9876543210": 2, "short": -1, "": -1, "0123456789ABCDEF": -1, "0123456789abcdef0": -1} {
		if got := access.Find(all, self, token); got != want {
			t.Errorf("%q is found at %d, want %d", token, got, want)
		}
	}
}

// FuzzParse: whatever a file holds, it is refused with a line, or each of its
// principals may be written down and read again.
func FuzzParse(f *testing.F) {
	f.Add([]byte(with("", "")))
	f.Add([]byte(with(`["read"]`, `["read","command"],"tenant":"acme","expires":"2027-01-01T00:00:00Z"`)))
	f.Add([]byte("# c\n\n{\"name\":\"a\"}"))
	f.Fuzz(func(t *testing.T, file []byte) {
		all, err := access.Parse(file, checkName)
		var at *access.LineError
		if err != nil && !errors.As(err, &at) {
			t.Fatalf("%v names no line", err)
		}
		for i := range all {
			line, err := all[i].Line()
			if err != nil {
				t.Fatal(err)
			}
			again, err := access.Parse(line, checkName)
			if err != nil || !again[0].Equal(&all[i]) {
				t.Fatalf("%s: %v, %v", line, again, err)
			}
		}
	})
}
