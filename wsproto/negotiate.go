package wsproto

import "bytes"

// maxOffers bounds the subprotocols that a client may offer: each is compared with all
// before it.
const maxOffers = 16

// offers gathers a client's offers from all its header fields.
type offers struct {
	cfg  *HandshakeConfig
	h    *Handshake
	seen [maxOffers][]byte
	n    int
	best int // index in cfg.Protocols of the selected one, plus one; 0 = none

	extension               bool // some extension was offered
	noProtocol, noExtension bool // there is a field, and no element in it or in those before
}

// protocols reads one Sec-WebSocket-Protocol field: tokens, each once, and elements that
// are empty. The server's order of preference decides, not the client's.
// [RFC6455 4.2.2] [RFC6455 1.9] [RFC9110 5.6.1.2]
func (o *offers) protocols(list []byte) error {
	const bearer = "bearer."
	for more := true; more; {
		var name []byte
		name, list, more = bytes.Cut(list, []byte{','})
		if name = trim(name); len(name) == 0 {
			continue
		}
		if tokenLen(name) != len(name) || o.n == maxOffers || o.repeated(name) { // [RFC6455 4.1]
			return errProtocolList
		}
		o.seen[o.n] = name
		o.n++
		if bytes.HasPrefix(name, []byte(bearer)) {
			if err := once(&o.h.BearerProtocol, name[len(bearer):]); err != nil {
				return err
			}
			continue
		}
		o.h.Offered++
		o.choose(name)
	}
	o.noProtocol = o.n == 0
	return nil
}

// check refuses lists of which every element is empty. [RFC9110 5.6.1.2]
func (o *offers) check() error {
	switch {
	case o.noProtocol:
		return errProtocolList
	case o.noExtension:
		return errExtensionList
	}
	return nil
}

func (o *offers) repeated(name []byte) bool {
	for _, s := range o.seen[:o.n] {
		if bytes.Equal(s, name) {
			return true
		}
	}
	return false
}

// choose selects the offered protocol name if the server prefers it to the current
// choice.
func (o *offers) choose(name []byte) {
	for i, p := range o.cfg.Protocols {
		if string(name) == p && (o.best == 0 || i+1 < o.best) {
			o.best, o.h.Protocol = i+1, p
		}
	}
}

// extensions reads one Sec-WebSocket-Extensions field and accepts the first possible offer
// of permessage-deflate. It declines unknown extensions and impossible offers by not
// answering them; only a broken grammar fails the handshake.
// [RFC6455 9.1] [RFC6455 4.2.2] [RFC7692 5] [RFC7692 7.1] [RFC9110 5.6.1.2]
func (o *offers) extensions(list []byte) error {
	s := scanner{b: list}
	for {
		for s.b = trim(s.b); s.take(','); s.b = trim(s.b) { // an element that is empty
		}
		if len(s.b) == 0 {
			o.noExtension = !o.extension
			return nil
		}
		name := s.token()
		if name == nil {
			return errExtensionList
		}
		o.extension = true
		d := deflateOffer{bad: !o.cfg.Compression || o.h.Compression || !equalFold(name, "permessage-deflate")}
		for s.take(';') {
			param := s.token()
			if param == nil {
				return errExtensionList
			}
			var value []byte
			if s.take('=') {
				if value = s.value(); value == nil {
					return errExtensionList
				}
			}
			d.param(param, value)
		}
		if !d.bad {
			o.h.Compression, o.h.window, o.h.WindowBits = true, d.serverBits != 0, 15
			if d.serverBits != 0 {
				o.h.WindowBits = d.serverBits // [RFC7692 7.1.2.1]
			}
		}
		if len(s.b) > 0 && s.b[0] != ',' {
			return errExtensionList
		}
	}
}

// deflateOffer is one offer of permessage-deflate.
type deflateOffer struct {
	bad        bool // to be declined
	seen       [4]bool
	serverBits uint8 // limit asked for the server's window; 0 = none
}

// param takes one parameter of the offer; value is nil if it has none. An undefined name,
// a value that is not allowed, and a repeated name decline the offer. [RFC7692 7.1]
//
// The response always declines context takeover on both sides, so the client's wish need
// not be stored. Nor need the size of its window: the inflater is ready for the largest.
// [RFC7692 7.1.1.1] [RFC7692 7.1.1.2]
// [RFC7692 7.1.2.2]
func (d *deflateOffer) param(name, value []byte) {
	which := 0
	switch string(name) {
	case "server_no_context_takeover": // [RFC7692 7.1.1.1]
		d.bad = d.bad || value != nil
	case "client_no_context_takeover": // [RFC7692 7.1.1.2]
		which = 1
		d.bad = d.bad || value != nil
	case "server_max_window_bits": // [RFC7692 7.1.2.1]
		which = 2
		d.serverBits = windowBits(value)
		d.bad = d.bad || d.serverBits == 0
	case "client_max_window_bits": // [RFC7692 7.1.2.2]
		which = 3
		d.bad = d.bad || value != nil && windowBits(value) == 0
	default:
		d.bad = true
	}
	d.bad = d.bad || d.seen[which]
	d.seen[which] = true
}

// windowBits reads "8" to "15", without leading zeros; 0 for anything else.
func windowBits(value []byte) uint8 {
	switch {
	case len(value) == 1 && value[0] >= '8' && value[0] <= '9':
		return value[0] - '0'
	case len(value) == 2 && value[0] == '1' && value[1] >= '0' && value[1] <= '5':
		return 10 + value[1] - '0'
	}
	return 0
}

// scanner reads the grammar of Sec-WebSocket-Extensions. [RFC6455 9.1]
type scanner struct{ b []byte }

// token takes a token and the white space around it; nil if there is none.
func (s *scanner) token() []byte {
	s.b = trim(s.b)
	n := tokenLen(s.b)
	if n == 0 {
		return nil
	}
	t := s.b[:n]
	s.b = trim(s.b[n:])
	return t
}

// take takes c if it comes next.
func (s *scanner) take(c byte) bool {
	if len(s.b) == 0 || s.b[0] != c {
		return false
	}
	s.b = s.b[1:]
	return true
}

// value takes a token, or a quoted string that holds one; nil if there is none. It leaves
// escapes in place, so a value with an escape matches nothing known and declines its
// offer.
func (s *scanner) value() []byte {
	s.b = trim(s.b)
	if !s.take('"') {
		return s.token()
	}
	n := 0
	for n < len(s.b) && s.b[n] != '"' {
		if s.b[n] == '\\' {
			n++
		}
		if n == len(s.b) || !isToken(s.b[n]) {
			return nil
		}
		n++
	}
	if n == 0 || n == len(s.b) {
		return nil
	}
	v := s.b[:n]
	s.b = trim(s.b[n+1:])
	return v
}
