package auth_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"edgeloop/auth"
)

// supported is what a token that golang-jwt takes must say for Verify to take
// it too, written a second time and without our parsing.
func supported(token *jwt.Token) (id auth.Identity, ok bool) {
	claims := token.Claims.(jwt.MapClaims)
	id.Tenant = auth.DefaultTenant
	if _, there := claims["aud"]; there {
		return id, false
	}
	var issuer string
	texts := map[string]*string{"sub": &id.Device, "tenant": &id.Tenant, "jti": &id.TokenID, "iss": &issuer}
	for name, s := range texts {
		if claim, there := claims[name]; there {
			if *s, ok = claim.(string); !ok {
				return id, false
			}
		}
	}
	for _, name := range []string{"exp", "nbf", "iat"} {
		if claim, there := claims[name]; there {
			n, isNumber := claim.(float64)
			if !isNumber || n <= 0 || n > 1<<40 {
				return id, false
			}
			switch name {
			case "exp":
				id.Expires = time.Unix(int64(n), 0)
			case "iat":
				id.Issued = time.Unix(max(int64(n), 1), 0)
			}
		}
	}
	var rights auth.Rights
	for name, list := range map[string]**auth.Patterns{"topics": &rights.Topics, "join_groups": &rights.Groups, "commands": &rights.Commands} {
		if *list, ok = patternsOf(claims, name); !ok {
			return id, false
		}
	}
	if rights != (auth.Rights{}) {
		id.Rights = &rights
	}
	_, critical := token.Header["crit"]
	for _, part := range strings.Split(token.Raw, ".")[:2] {
		if object, err := base64.RawURLEncoding.DecodeString(part); err == nil && repeats(object) {
			return id, false
		}
	}
	return id, !critical && len(id.TokenID) <= 256 &&
		auth.CheckName("sub", id.Device) == nil && auth.CheckName("tenant", id.Tenant) == nil
}

// patternsOf are the patterns of a claim, nil if it is not there.
func patternsOf(claims jwt.MapClaims, name string) (*auth.Patterns, bool) {
	claim, there := claims[name]
	if !there {
		return nil, true
	}
	list, ok := claim.([]any)
	patterns := make(auth.Patterns, 0, len(list))
	for _, item := range list {
		s, isText := item.(string)
		ok = ok && isText
		patterns = append(patterns, s)
	}
	return &patterns, ok && auth.CheckPatterns(name, patterns) == nil
}

// repeats says whether a name is twice in an object.
func repeats(object []byte) bool {
	dec := json.NewDecoder(bytes.NewReader(object))
	_, _ = dec.Token() // somebody has read it already
	names := map[json.Token]bool{}
	for dec.More() {
		name, _ := dec.Token()
		if names[name] {
			return true
		}
		names[name] = true
		_ = dec.Decode(new(any))
	}
	return false
}

// FuzzToken compares Verify with golang-jwt, once on a token of arbitrary bytes
// and once on arbitrary header and claims under a signature that matches: what
// we take it takes, and what it takes and we support we take with the same
// content.
func FuzzToken(f *testing.F) {
	good := string(signHS256(f, jwt.MapClaims{"sub": "a"}))
	f.Add(good, `{"alg":"HS256","typ":"JWT"}`, `{"sub":"pump-1","tenant":"acme","exp":1795262401,"nbf":1795262400,"iat":1,"jti":"x","topics":["a/+","#"]}`)
	f.Add(good+"=", `{"alg":"none"}`, `{"sub":"a","exp":1795262400}`)
	f.Add(good+"\n", `{"alg":"HS256","alg":"none"}`, `{"sub":"a","nbf":1795262401}`)
	f.Add("..", `{"typ":"JWT","alg":"HS256","crit":[]}`, `{"sub":"a","SUB":"b","exp":1e9}`)
	f.Add("a.b.c", `{"alg":"HS256"}`, `{"sub":"\u0061","topics":[],"exp":17952624010e-1,"x":1e999}`)
	f.Add(good[:len(good)-1]+"B", ` {"alg" : "HS256"} `, `{"sub":"a","topics":[""],"jti":null}`)
	// The forms that scan reads, and what lies just outside.
	for _, claims := range []string{
		`{"sub":"a","exp":1795262401}`, `{"sub":"a","exp":0.5}`, `{"sub":"a","nbf":0.5}`, `{"sub":"a","sub":"b"}`,
		`{"sub":"a","join_groups":["a/+"],"commands":["x","y"]}`, `{"sub":"a","join_groups":[],"join_groups":["#"]}`, `{"sub":"a","commands":["#/x"]}`, `{"sub":"a","commands":["\u0061"],"topics":[]}`,
		`{"sub":"a","topics":["a]b"]}`, `{"sub":"a","topics":["a",null]}`, `{"sub":"a","topics":[["a"]]}`,
		`{"sub":"a","topics":null,"x":[]}`, `{"sub":"a","topics":["\u0061"],"tenant":"acme"}`, `{"sub":"a","topics":[ ],"iat":1}`,
		`{"sub":"a","exp":017}`, `{"sub":"a","exp":1795262401e0}`, `{"sub":"a","exp":1795262401000}`, `{"sub":"a","exp":9999999999999}`,
		`{"sub":"a","aud":"b"}`, `{"sub":"a","aud":[]}`, `{"sub":"a","iss":"x"}`, `{"sub":"a","iss":["x"]}`, `{"sub":"a","iss":""}`,
		`{"sub":"a","tenant":""}`, `{"sub":"a",}`, `{"sub":"a"}}`, `{"sub":"a"} `, `{}`, `{"sub":"a`, `{"sub":"a","jti":"` + "\xe4" + `"}`,
	} {
		f.Add(good, `{"alg":"HS256","typ":"JWT"}`, claims)
	}
	v := newVerifier(f, auth.Config{})
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithTimeFunc(func() time.Time { return noon }))
	key := func(*jwt.Token) (any, error) { return []byte(testSecret), nil }
	f.Fuzz(func(t *testing.T, token, header, claims string) {
		compare := func(token string, canonical bool) {
			theirs, theirErr := parser.Parse(token, key)
			for range 2 { // the second time its topics are known
				ours, err := v.Verify([]byte(token))
				if theirErr != nil {
					if err == nil {
						t.Fatalf("took %q, which golang-jwt refuses: %v", token, theirErr)
					}
					return
				}
				want, ok := supported(theirs)
				switch {
				case !ok && err == nil:
					t.Fatalf("took %q: %+v", token, ours)
				case !ok:
					return
				case err != nil && !canonical && errors.Is(err, auth.ErrMalformed):
					return // padding, line breaks, idle bits
				case err != nil:
					t.Fatalf("refused %q, which golang-jwt takes: %v", token, err)
				}
				if diff := cmp.Diff(&want, ours); diff != "" {
					t.Fatalf("%q (-golang-jwt +ours):\n%s", token, diff)
				}
			}
		}
		compare(token, false)
		signed := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
		signature, err := jwt.SigningMethodHS256.Sign(signed, []byte(testSecret))
		if err != nil {
			t.Fatal(err)
		}
		if whole := signed + "." + base64.RawURLEncoding.EncodeToString(signature); len(whole) <= auth.MaxToken {
			compare(whole, true)
		}
	})
}
