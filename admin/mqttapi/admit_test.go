package mqttapi_test

import (
	"testing"

	"edgeloop/admin/access"
	"edgeloop/admin/mqttapi"
)

// Who is let in is who shows an admin token with the scope read, for its own tenant. Everybody
// else is a device's concern, or hears why not.
func TestAdmit(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{})
	for name, c := range map[string]struct {
		hello
		code byte
	}{
		"a token for all, no tenant":   {hello{token: tokenAll}, 0},
		"a token for all, any tenant":  {hello{token: tokenAll, user: "globex"}, 0},
		"a bound token, its tenant":    {hello{token: tokenAcme, user: "acme"}, 0},
		"a bound token, no tenant":     {hello{token: tokenAcme}, 0},
		"a bound token, another":       {hello{token: tokenAcme, user: "globex"}, 0x87},
		"a bound token, part of it":    {hello{token: tokenAcme, user: "acm"}, 0x87},
		"a tenant that is no name":     {hello{token: tokenAll, user: "acme/b"}, 0x87},
		"a tenant that is a pattern":   {hello{token: tokenAll, user: "*"}, 0x87},
		"without the scope":            {hello{token: tokenPoor}, 0x87},
		"a token that is no admin's":   {hello{token: "token-that-nobody-has"}, 0x86},
		"the beginning of a token":     {hello{token: tokenAll[:len(tokenAll)-1]}, 0x86},
		"a token beyond the longest":   {hello{token: tokenLong}, 0x86},
		"a client identifier too long": {hello{token: tokenAll, id: longID}, 0x85},
	} {
		c.clean = true
		if c.id == "" {
			c.id = "app"
		}
		if _, ack := n.knock(c.hello); codeOf(ack) != c.code {
			t.Errorf("%s: % x, want %#x", name, ack, c.code)
		}
	}
}

const longID = "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789x"

// A token that is taken back, or has expired, ends what was begun with it.
func TestAdmit_TokenTakenBack(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{})
	c, _ := n.enter(hello{id: "a", token: tokenAcme, clean: true})
	c.subscribe(1, "#")
	if err := n.roster.Set(access.Principal{Name: "all", Hash: access.HashOf(tokenAll), Scopes: access.AllScopes}); err != nil {
		t.Fatal(err)
	}
	c.wantEnd(0x87)
	if _, ack := n.knock(hello{id: "a", token: tokenAcme, clean: true}); codeOf(ack) != 0x86 {
		t.Errorf("it came again: % x", ack)
	}
}

// A token sees its tenant's records and no others, live and from a kept place, whatever its
// filters say.
func TestTenants_AreApart(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{})
	for _, h := range []hello{
		{id: "live", token: tokenAcme, clean: true},
		{id: "kept", token: tokenAcme, expiry: 60},
		{id: "kept", token: tokenAcme, v311: true},
	} {
		c, _ := n.enter(h)
		for _, code := range c.subscribe(1, "#", "+/#", "devices/+/t", "globex/#") {
			if code != 1 {
				t.Errorf("SUBACK %#x", code)
			}
		}
		n.add("globex", "d", "t", "secret")
		n.add("globex", "acme", "acme/t", "secret")
		n.add("acme", "d", "t", "own")
		c.want("t", "own")
		c.leave()
	}
}

// As many connections as may be, and of one token: who comes then hears so.
func TestAdmit_Full(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{MaxConnections: 3, MaxTokenConnections: 2, MaxSessions: 2, MaxTenantSessions: 1})
	a, _ := n.enter(hello{id: "a", token: tokenAcme, clean: true})
	n.enter(hello{id: "b", token: tokenAcme, clean: true})
	if _, ack := n.knock(hello{id: "c", token: tokenAcme, clean: true}); codeOf(ack) != 0x97 {
		t.Errorf("a third of one token: % x", ack)
	}
	n.enter(hello{id: "d", token: tokenAll, clean: true})
	if _, ack := n.knock(hello{id: "e", token: tokenAll, clean: true}); codeOf(ack) != 0x97 {
		t.Errorf("a fourth: % x", ack)
	}
	if _, ack := n.knock(hello{id: "d", user: "acme", token: tokenAll, clean: true}); codeOf(ack) != 0x97 {
		t.Errorf("one of the name of another tenant's: % x", ack)
	}
	if _, ack := n.knock(hello{id: "b", user: "acme", token: tokenAll, clean: true}); codeOf(ack) != 0x97 {
		t.Errorf("one that would replace another token's: % x", ack)
	}
	before := a // which may be half open: nobody is one more who replaces himself
	a, _ = n.enter(hello{id: "a", token: tokenAcme, clean: true})
	before.wantEnd(0x8e)
	a.leave()
	for _, c := range []struct {
		hello
		code byte
	}{
		{hello{id: "k1", token: tokenAll, user: "x", expiry: 60}, 0},
		{hello{id: "k2", token: tokenAll, user: "x", expiry: 60}, 0x97},
		{hello{id: "k1", token: tokenAll, user: "x", expiry: 60}, 0},
		{hello{id: "k1", token: tokenAll, user: "y", expiry: 60}, 0},
		{hello{id: "k1", token: tokenAll, user: "z", expiry: 60}, 0x97},
	} {
		var ack []byte
		for { // who has just left may still count
			var k *client
			if k, ack = n.knock(c.hello); codeOf(ack) != 0x97 || c.code == 0x97 {
				if codeOf(ack) == 0 {
					k.leave()
				}
				break
			}
		}
		if codeOf(ack) != c.code {
			t.Errorf("%+v: % x, want %#x", c.hello, ack, c.code)
		}
	}
}
