package tlsrec

import (
	"bytes"
	"errors"
	"testing"
)

// A peer makes nobody keep what it sends after the handshake: of a message of the handshake
// that never ends, as of padding, some kilobytes are taken, and then the connection ends.
// What comes between data may be as much as it likes.
func TestSession_NothingButBarrenRecords(t *testing.T) {
	ca, std, own := twoServers(t)
	endless := append([]byte{11, 3, 0xff, 0xff}, make([]byte, 1000)...) // a certificate of 256 KiB
	for name, records := range map[string]func(c *client) []byte{
		"a message without end": func(c *client) []byte { return c.sealOne(nil, typeHandshake, endless) },
		"padding":               func(c *client) []byte { return c.padded(typeApplication, nil, 1000) },
	} {
		for _, s := range []*Server{std, own} {
			c, sent := conduct(t, s, ca), 0
			for !c.say(t, records(c)).ended {
				if sent += 1000; sent > barrenBytes {
					t.Errorf("own %v: %d bytes of %s were taken", s == own, sent, name)
					break
				}
			}
			if !bytes.Equal(c.session.Seal(nil, []byte("x")), nil) {
				t.Errorf("own %v: it goes on after %s", s == own, name)
			}
		}
	}
	for _, s := range []*Server{std, own} {
		c := conduct(t, s, ca)
		for range 20 {
			if c.say(t, c.padded(typeApplication, nil, 1000)).ended || c.say(t, c.sealOne(nil, typeApplication, []byte("x"))).ended {
				t.Fatalf("own %v: padding between data ends it", s == own)
			}
		}
		var err error
		for range barrenBytes/1000 + 1 {
			_, _, err = c.session.Open(c.padded(typeApplication, nil, 1000))
		}
		if !errors.Is(err, errBarren) {
			t.Errorf("own %v: it ends with %v", s == own, err)
		}
	}
}
