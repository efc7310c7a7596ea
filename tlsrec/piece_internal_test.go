package tlsrec

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"testing"
)

// A piece ends with the record that may be the last of the handshake, and waits for it.
func TestSession_Piece(t *testing.T) {
	record := func(kind byte, n int) []byte {
		return append([]byte{kind, 3, 3, byte(n >> 8), byte(n)}, make([]byte, n)...)
	}
	hello, change, sealed := record(typeHandshake, 40), record(typeChangeCipherSpec, 1), record(typeApplication, 30)
	cat := func(all ...[]byte) []byte { return bytes.Join(all, nil) }
	for what, c := range map[string]struct {
		sealed     bool
		wire, want []byte
	}{
		"half a record":          {false, hello[:30], nil},
		"a hello":                {false, hello, hello},
		"a hello, half a record": {false, cat(hello, hello[:9]), hello},
		"a hello in two records": {false, cat(hello, hello), cat(hello, hello)},
		"a key, and the rest of 1.2 is on its way": {false, cat(hello, change), hello},
		"the whole flight of 1.2, and data":        {false, cat(hello, hello, change, hello, sealed), cat(hello, hello, change, hello)},
		"Finished of 1.2 later":                    {true, cat(hello, sealed), hello},
		"a ChangeCipherSpec alone":                 {false, change, nil},
		"ChangeCipherSpecs without end":            {false, bytes.Repeat(change, 100), bytes.Repeat(change, 11)},
		"Finished of 1.3, and data":                {false, cat(change, sealed, sealed), cat(change, sealed)},
		"Finished of 1.3 later":                    {true, cat(sealed, sealed), sealed},
		"Finished of 1.3 without the other":        {false, cat(sealed, sealed), sealed},
		"an alert":                                 {false, cat(record(typeAlert, 2), hello), record(typeAlert, 2)},
		"a record that is too long":                {false, []byte{typeHandshake, 3, 3, 255, 255, 1, 2}, []byte{typeHandshake, 3, 3, 255, 255}},
		"one that is too long behind a hello":      {false, cat(hello, []byte{typeChangeCipherSpec, 3, 3, 255, 255, 1}), cat(hello, []byte{typeChangeCipherSpec, 3, 3, 255, 255})},
	} {
		n := &Session{m: &machine{sealed: c.sealed}}
		if got := n.Piece(c.wire); got != len(c.want) { // each begins with what is wanted
			t.Errorf("%s: of %d bytes it is %d, want %d", what, len(c.wire), got, len(c.want))
		}
	}
}

// Data that comes with the end of the handshake is not swallowed by it.
func TestSession_DataBehindFinished(t *testing.T) {
	ca, std, own := twoServers(t)
	for _, s := range []*Server{std, own} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			cache := tls.NewLRUClientSessionCache(4)
			for visit := range 2 { // the second one is resumed, and in 1.2 the client's Finished is the last then
				t.Run(fmt.Sprintf("own=%v %x visit=%d", s == own, version, visit), func(t *testing.T) {
					behind(t, s, visit > 0, &tls.Config{RootCAs: ca.Pool(), ServerName: "127.0.0.1", MaxVersion: version, ClientSessionCache: cache})
				})
			}
		}
	}
}

func behind(t *testing.T, s *Server, resumed bool, cfg *tls.Config) {
	t.Helper()
	n, p := s.NewSession(""), &pipe{}
	client := tls.Client(p, cfg)
	var wire []byte
	serve := func() bool {
		wire = append(wire, p.out...)
		p.out = nil
		for done, err := n.Done(); !done; done, err = n.Done() {
			size := n.Piece(wire)
			if err != nil || size == 0 {
				break
			}
			n.Advance(bytes.Clone(wire[:size]))
			wire = wire[size:]
		}
		p.in = append(p.in, n.Reply()...)
		return len(p.in) > 0
	}
	p.more = serve
	if err := client.Handshake(); err != nil {
		t.Fatal(err)
	}
	if got := client.ConnectionState().DidResume; got != resumed {
		t.Errorf("resumed: %v", got)
	}
	if _, err := client.Write([]byte("with it")); err != nil {
		t.Fatal(err)
	}
	serve()
	if done, err := n.Done(); !done {
		t.Fatalf("the handshake is not over: %v", err)
	}
	plain, _, err := n.Open(wire[:Cut(wire)])
	if err != nil || string(plain) != "with it" {
		t.Fatalf("%q, %v", plain, err)
	}
	p.more = nil
	p.in = append(p.in, n.Seal(nil, []byte("back"))...)
	got := make([]byte, 10)
	if used, err := client.Read(got); err != nil || string(got[:used]) != "back" { // and the ticket before it
		t.Fatalf("%q, %v", got[:used], err)
	}
}
