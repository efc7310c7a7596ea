package tricks

import (
	"fmt"
	"strings"
	"time"
)

// claims are those of a good token, with others behind them.
func claims(device, rest string) string {
	return fmt.Sprintf(`{"sub":%q,"tenant":"default","exp":%d%s}`, device, time.Now().Add(time.Hour).Unix(), rest)
}

const hs256 = `{"alg":"HS256","typ":"JWT"}`

// tokenTrick shows the token that forge makes of the device's name.
func tokenTrick(name, about string, forge func(d *Doors, device string) string, want ...string) Trick {
	if want == nil {
		want = []string{"401"}
	}
	return Trick{Name: name, About: about, Want: want, try: func(t *try) string {
		return t.ask(t.doors.WS, upgrade(devicePath)+"Authorization: Bearer "+forge(t.doors, t.name())+"\r\n\r\n")
	}}
}

// tokenTricks are tokens that nobody has signed.
func tokenTricks() []Trick {
	header := func(name, about, header string) Trick {
		return tokenTrick(name, about, func(d *Doors, device string) string { return signHS(header, claims(device, ""), "guess") })
	}
	return []Trick{
		tokenTrick("good", "one that is good: it is let in", func(d *Doors, device string) string { return d.Token(device) }, "101"),
		tokenTrick("none", "alg none", func(_ *Doors, device string) string {
			return encode(`{"alg":"none"}`) + "." + encode(claims(device, "")) + "."
		}),
		tokenTrick("none-case", "alg nOnE", func(_ *Doors, device string) string {
			return encode(`{"alg":"nOnE"}`) + "." + encode(claims(device, "")) + "."
		}),
		tokenTrick("none-signed", "alg none with a good signature", func(d *Doors, device string) string { return signHS(`{"alg":"none"}`, claims(device, ""), d.Secret) }),
		tokenTrick("stripped", "a good one without its signature", func(d *Doors, device string) string {
			token := d.Token(device)
			return token[:strings.LastIndex(token, ".")+1]
		}),
		tokenTrick("confused", "HS256 with the public key as secret", func(d *Doors, device string) string { return signHS(hs256, claims(device, ""), d.PublicKey) }),
		tokenTrick("confused-trimmed", "the same, without the line's end", func(d *Doors, device string) string {
			return signHS(hs256, claims(device, ""), strings.TrimSpace(d.PublicKey))
		}),
		tokenTrick("confused-es", "ES256 in the header, signed by the secret", func(d *Doors, device string) string {
			return signHS(`{"alg":"ES256","typ":"JWT"}`, claims(device, ""), d.Secret)
		}),
		tokenTrick("psychic", "ES256 with a signature of zeros", func(_ *Doors, device string) string {
			return encode(`{"alg":"ES256"}`) + "." + encode(claims(device, "")) + "." + encode(strings.Repeat("\x00", 64))
		}),
		tokenTrick("empty-secret", "HS256 with an empty secret", func(_ *Doors, device string) string { return signHS(hs256, claims(device, ""), "") }),
		header("kid-path", "a key file by a path", `{"alg":"HS256","kid":"../../../../../../dev/null"}`),
		header("kid-sql", "a key out of a database", `{"alg":"HS256","kid":"x' UNION SELECT 'guess'--"}`),
		header("kid-long", "a key's name of 5 KiB", `{"alg":"HS256","kid":"`+strings.Repeat("k", 5000)+`"}`),
		header("jwk", "its own key in the header", `{"alg":"HS256","jwk":{"kty":"oct","k":"Z3Vlc3M"}}`),
		header("jku", "its own key by a URL", `{"alg":"RS256","jku":"http://127.0.0.1:1/keys.json"}`),
		header("x5u", "its own certificate by a URL", `{"alg":"RS256","x5u":"http://127.0.0.1:1/cert.pem"}`),
		tokenTrick("altered", "a good one for another device", func(d *Doors, device string) string {
			parts := strings.Split(d.Token(device), ".")
			return parts[0] + "." + encode(claims("x-victim", "")) + "." + parts[2]
		}),
		tokenTrick("random", "letters", func(*Doors, string) string { return "aaaa.bbbb.cccc" }),
		tokenTrick("none-at-all", "nothing", func(*Doors, string) string { return "" }),
	}
}

// tokenForms are tokens that somebody has signed, and that say what they may not.
func tokenForms() []Trick {
	signed := func(name, about, form string, want ...string) Trick {
		return tokenTrick(name, about, func(d *Doors, device string) string { return d.signed(strings.ReplaceAll(form, "DEVICE", device)) }, want...)
	}
	now := time.Now().Unix()
	good := fmt.Sprintf(`"exp":%d`, now+36_000)
	return []Trick{
		signed("expired", "one that is over", fmt.Sprintf(`{"sub":"DEVICE","exp":%d}`, now-10)),
		signed("early", "one that is not valid yet", fmt.Sprintf(`{"sub":"DEVICE","nbf":%d,%s}`, now+3600, good)),
		signed("exp-text", "an end that is text", `{"sub":"DEVICE","exp":"9999999999"}`),
		signed("exp-huge", "an end beyond all time", `{"sub":"DEVICE","exp":1e400}`),
		signed("exp-negative", "an end before all time", `{"sub":"DEVICE","exp":-1}`),
		signed("audience", "one for somebody else", `{"sub":"DEVICE","aud":"another",`+good+`}`),
		signed("nobody", "of no device", `{`+good+`}`),
		signed("sub-empty", "of a device without a name", `{"sub":"",`+good+`}`),
		signed("sub-list", "of two devices", `{"sub":["DEVICE","x-victim"],`+good+`}`),
		signed("sub-twice", "of one device, then another", `{"sub":"DEVICE","sub":"x-victim",`+good+`}`),
		signed("sub-twice-escaped", "the same, written differently", `{"sub":"DEVICE","su\u0062":"x-victim",`+good+`}`),
		signed("tenant-twice", "of one tenant, then another", `{"sub":"DEVICE","tenant":"default","tenant":"other",`+good+`}`),
		signed("sub-subject", "of all devices", `{"sub":"*",`+good+`}`),
		signed("sub-subjects", "of all devices, in another way", `{"sub":"x.>",`+good+`}`),
		signed("sub-path", "of a device above", `{"sub":"../x",`+good+`}`),
		signed("sub-line", "of a device with a line break", `{"sub":"DEVICE\nroot",`+good+`}`),
		signed("tenant-subject", "of all tenants", `{"sub":"DEVICE","tenant":"*",`+good+`}`),
		signed("tenant-subjects", "of all tenants, in another way", `{"sub":"DEVICE","tenant":">",`+good+`}`),
		signed("tenant-blank", "of a tenant with a blank", `{"sub":"DEVICE","tenant":"a b",`+good+`}`),
		signed("topics-many", "1,000 topics", `{"sub":"DEVICE","topics":["a"`+strings.Repeat(`,"a"`, 999)+`],`+good+`}`),
		signed("topics-text", "topics that are no list", `{"sub":"DEVICE","topics":"#",`+good+`}`),
		signed("not-an-object", "a list", `["DEVICE"]`),
		signed("behind", "something behind the claims", `{"sub":"DEVICE",`+good+`}{"sub":"x-victim"}`),
		signed("deep", "claims nested 1,000 deep", `{"sub":"DEVICE",`+good+`,"x":`+strings.Repeat("[", 1000)+strings.Repeat("]", 1000)+`}`, "401", "101"),
		signed("giant", "a token of 100 KiB", `{"sub":"DEVICE",`+good+`,"x":"`+strings.Repeat("x", 75_000)+`"}`, "431", "401", cut),
		signed("long", "a token of 7 KiB", `{"sub":"DEVICE",`+good+`,"x":"`+strings.Repeat("x", 5000)+`"}`, "101", "401"),
		tokenTrick("parts", "five parts", func(d *Doors, device string) string { return d.Token(device) + ".a.b" }),
		tokenTrick("padded", "a signature with padding", func(d *Doors, device string) string { return d.Token(device) + "=" }),
		tokenTrick("crit", "a header that must be understood", func(d *Doors, device string) string {
			return signHS(`{"alg":"HS256","crit":["x"],"x":1}`, claims(device, ""), d.Secret)
		}),
	}
}
