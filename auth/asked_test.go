package auth_test

import (
	"errors"
	"sync/atomic"
	"testing"

	"github.com/golang-jwt/jwt/v5"

	"edgeloop/auth"
)

// Rotation as a server of keys does it: the new one beside the old, then the new one
// alone. A token is taken while its key is published and never after, also one that has
// been remembered; those of keys that stay are taken throughout.
func TestSetKeys_Rotation(t *testing.T) {
	old, young, stays := newES256(t), newES256(t), newES256(t)
	var asked atomic.Int32
	v := newVerifier(t, auth.Config{
		PublicKeyFile: writeFile(t, 0o644, publicPEM(t, &stays.PublicKey)),
		AskKeys:       func() bool { asked.Add(1); return true },
	})
	set := func(keys ...member) (changed bool) {
		changed, left, err := v.SetKeys([]byte(setOf(t, keys...)))
		if err != nil || len(left) > 0 {
			t.Fatal(left, err)
		}
		return changed
	}
	a, b := jwkOf(t, &old.PublicKey, member{"kid": "old"}), jwkOf(t, &young.PublicKey, member{"kid": "young"})
	ofOld, ofYoung := signKid(t, jwt.SigningMethodES256, old, "old"), signKid(t, jwt.SigningMethodES256, young, "young")
	want := func(when string, token []byte, want error) {
		t.Helper()
		for range 2 { // the second may come from what is remembered
			if _, err := v.Verify(token); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", when, err, want)
			}
		}
		if _, err := v.Verify(signKid(t, jwt.SigningMethodES256, stays, "")); err != nil {
			t.Errorf("%s: a token of the file: %v", when, err)
		}
	}
	want("before the first set", ofOld, auth.ErrKeys)
	if !set(a) || set(a) {
		t.Error("the first set is no change, or the same set is one")
	}
	want("with the first set", ofOld, nil)
	want("before its key is published", ofYoung, auth.ErrKeys)
	set(a, b)
	want("with both keys", ofOld, nil)
	want("with both keys", ofYoung, nil)
	if !set(b) {
		t.Error("a key is gone, and that is no change")
	}
	want("after its key was taken back", ofOld, auth.ErrKeys)
	want("with the second key alone", ofYoung, nil)
	for _, bad := range []string{"", "{}", `{"keys":[]}`} {
		if _, _, err := v.SetKeys([]byte(bad)); err == nil {
			t.Errorf("set %q is taken", bad)
		}
	}
	want("after a bad set", ofYoung, nil)
	if st := v.Stats(); st.SetKeys != 1 || st.Cached == 0 {
		t.Errorf("stats %+v", st)
	}
	if err := v.Reload(); err != nil {
		t.Fatal(err)
	}
	want("after a reload of the files", ofYoung, nil)
	v.DropKeys()
	want("when the keys are too old", ofYoung, auth.ErrKeys)
}

// Who is asked for keys that nobody knows, and for what not.
func TestSetKeys_AsksOnlyForWhatMayCome(t *testing.T) {
	k := newES256(t)
	var asked int
	v := newVerifier(t, auth.Config{
		SecretFile: writeFile(t, 0o600, testSecret),
		AskKeys:    func() bool { asked++; return false },
	})
	if _, _, err := v.SetKeys([]byte(setOf(t, jwkOf(t, &k.PublicKey, member{"kid": "k"})))); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		token []byte
		asks  int
		want  error
	}{
		"a known key":                       {signKid(t, jwt.SigningMethodES256, k, "k"), 0, nil},
		"a bad signature of a known key":    {signKid(t, jwt.SigningMethodES256, newES256(t), "k"), 0, auth.ErrSignature},
		"no kid":                            {signKid(t, jwt.SigningMethodES256, newES256(t), ""), 0, auth.ErrSignature},
		"a secret":                          {signKid(t, jwt.SigningMethodHS256, []byte(testSecret), "x"), 0, nil},
		"a bad secret":                      {signKid(t, jwt.SigningMethodHS256, []byte(testSecret+"x"), "x"), 0, auth.ErrSignature},
		"an algorithm of nobody":            {signKid(t, jwt.SigningMethodHS512, []byte(testSecret), "x"), 0, auth.ErrAlgorithm},
		"an unknown key":                    {signKid(t, jwt.SigningMethodES256, newES256(t), "x"), 1, auth.ErrSignature},
		"an unknown key of another kind":    {signKid(t, jwt.SigningMethodRS256, rsaKey(), "x"), 1, auth.ErrAlgorithm},
		"another unknown key, asked of too": {signKid(t, jwt.SigningMethodES256, newES256(t), "y"), 1, auth.ErrSignature},
	} {
		asked = 0
		if _, err := v.Verify(c.token); !errors.Is(err, c.want) || asked != c.asks {
			t.Errorf("%s: %v, asked %d times; want %v and %d", what, err, asked, c.want, c.asks)
		}
	}
}
