package wsproto

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"iter"
)

// HandshakeConfig is what a server agrees to. All connections share it, and it must not
// change while in use.
type HandshakeConfig struct {
	Protocols       []string // subprotocols that the server speaks, the preferred one first
	Compression     bool     // whether permessage-deflate may be negotiated
	Uncompressed    string   // the subprotocol with which it never is; "" = none
	MaxHeaderBytes  int      // of the whole header block; 0 = 8192; too small: 431 for honest clients
	MaxHeaderFields int      // header fields; 0 = 64; too small: 431 for clients behind chatty proxies
}

func (c *HandshakeConfig) bounds() (maxBytes, maxHeaders int) {
	return cmp.Or(c.MaxHeaderBytes, 8192), cmp.Or(c.MaxHeaderFields, 64)
}

// Handshake is one client's opening handshake. It is reusable: Parse sets every field.
// Byte fields borrow from the block given to Parse, until the block is reused or Parse
// is called again.
type Handshake struct {
	Path           []byte // as sent, escapes kept
	Query          []byte // without the '?'; nil if none
	Host           []byte
	Origin         []byte // nil if none
	Authorization  []byte // nil if none
	Protocol       string // the subprotocol selected, "" if none
	Offered        int    // subprotocols that the client offered, bearer tokens not counted
	BearerProtocol []byte // TOKEN of an offered "bearer.TOKEN", which is never echoed; nil if none
	Compression    bool   // permessage-deflate was negotiated
	WindowBits     uint8  // 8 to 15 with Compression, for AppendCompressed; 0 without

	fields   []byte // the header lines of block, with the blank one
	required required
	window   bool // the client asked for a limit of the server's window
	accepted bool // Parse found nothing wrong
}

// required holds the fields that Parse checks once all are known.
type required struct {
	host, upgrade, version, key []byte
	connection                  bool // some Connection field names Upgrade
}

// Parse checks block, which FindHeaderBlock measured. block is borrowed for as long as h is
// used. err is a *Refusal. Parse does not check the path: the caller knows which paths exist.
//
// gobwas/ws is the oracle, in the tests: it takes what is accepted here, and answers with
// the same bytes. At run time it would read each block a second time.
// [RFC6455 4.2.1] [RFC6455 4.2.2]
func (h *Handshake) Parse(cfg *HandshakeConfig, block []byte) error {
	*h = Handshake{}
	line, rest, ok := cutLine(block)
	if !ok {
		return errRequestLine
	}
	if err := h.requestLine(line); err != nil {
		return err
	}
	h.fields = rest
	offers := offers{cfg: cfg, h: h}
	for {
		if line, rest, ok = cutLine(rest); !ok {
			return errBareLF
		}
		if len(line) == 0 {
			break
		}
		name, value, ok := cutField(line)
		if !ok {
			return errField
		}
		if err := h.field(name, value, &offers); err != nil {
			return err
		}
	}
	if len(rest) != 0 {
		return errTrailing
	}
	if err := h.check(); err != nil {
		return err
	}
	if err := offers.check(); err != nil {
		return err
	}
	if h.Protocol != "" && h.Protocol == cfg.Uncompressed { // [RFC7692 5.1] declined
		h.Compression, h.window, h.WindowBits = false, false, 0
	}
	h.accepted = true
	return nil
}

// requestLine parses "GET target HTTP/1.1".
func (h *Handshake) requestLine(line []byte) error {
	method, rest, ok := bytes.Cut(line, []byte{' '})
	target, version, ok2 := bytes.Cut(rest, []byte{' '})
	if !ok || !ok2 || len(method) == 0 || tokenLen(method) != len(method) {
		return errRequestLine
	}
	if len(version) != len("HTTP/1.1") || string(version[:5]) != "HTTP/" || version[6] != '.' ||
		!isDigit(version[5]) || !isDigit(version[7]) {
		return errRequestLine
	}
	if version[5] != '1' || version[7] == '0' { // [RFC6455 4.2.1] 1.1 or higher
		return errHTTPVersion
	}
	if string(method) != "GET" { // [RFC6455 4.2.1]
		return errMethod
	}
	return h.target(target)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// target takes path and query from a request target: "/path?query", or the same after
// "http://host", as sent to proxies, which a server must accept; clients that send the
// URL that they were given write "ws://host". [RFC6455 3] [RFC9112 3.2.2]
func (h *Handshake) target(t []byte) error {
	for _, c := range t {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return errTarget
		}
	}
	for _, scheme := range [...]string{"http://", "https://", "ws://", "wss://"} {
		if len(t) < len(scheme) || !equalFold(t[:len(scheme)], scheme) {
			continue
		}
		t = t[len(scheme):]
		n := bytes.IndexByte(t, '/')
		if n < 1 {
			return errTarget
		}
		h.Host, t = t[:n], t[n:] // takes precedence over the Host header
	}
	if len(t) == 0 || t[0] != '/' {
		return errTarget
	}
	var asked bool
	if h.Path, h.Query, asked = bytes.Cut(t, []byte{'?'}); !asked {
		h.Query = nil
	}
	return nil
}

// field stores one header field.
func (h *Handshake) field(name, value []byte, o *offers) error {
	r := &h.required
	switch {
	case equalFold(name, "Host"):
		return once(&r.host, value)
	case equalFold(name, "Upgrade"):
		return once(&r.upgrade, value)
	case equalFold(name, "Connection"):
		r.connection = r.connection || hasToken(value, "upgrade")
	case equalFold(name, "Sec-WebSocket-Version"): // [RFC6455 11.3.5] not more than once
		return once(&r.version, value)
	case equalFold(name, "Sec-WebSocket-Key"): // [RFC6455 11.3.1] not more than once
		return once(&r.key, value)
	case equalFold(name, "Sec-WebSocket-Protocol"): // [RFC6455 11.3.4] may be in several lines
		return o.protocols(value)
	case equalFold(name, "Sec-WebSocket-Extensions"): // [RFC6455 11.3.2] may be in several lines
		return o.extensions(value)
	case equalFold(name, "Origin"):
		return once(&h.Origin, value)
	case equalFold(name, "Authorization"):
		return once(&h.Authorization, value)
	case equalFold(name, "Transfer-Encoding"):
		return errBody
	case equalFold(name, "Content-Length"):
		if string(value) != "0" {
			return errBody
		}
	}
	return nil
}

// once sets a field that may appear only once.
func once(field *[]byte, value []byte) error {
	if *field != nil {
		return errDuplicate
	}
	*field = value
	return nil
}

// check tests for everything that must be present. It tells a plain HTTP request to
// upgrade before it reports any further fault.
func (h *Handshake) check() error {
	r := &h.required
	switch {
	case r.host == nil || !validHost(r.host) || !validHost(h.Host): // [RFC6455 4.2.1] Host
		return errHost
	case !equalFold(r.upgrade, "websocket"): // [RFC6455 4.2.1] Upgrade
		return errUpgrade
	case !r.connection: // [RFC6455 4.2.1] Connection
		return errConnection
	case string(r.version) != "13": // [RFC6455 4.2.1] Sec-WebSocket-Version [RFC6455 4.4]
		return errVersion
	case !validKey(r.key): // [RFC6455 4.2.1] Sec-WebSocket-Key
		return errKey
	}
	if h.Host == nil {
		h.Host = r.host
	}
	return nil
}

// validHost reports whether host has only characters of "host:port". It is empty for an
// address without a host, which HTTP allows.
func validHost(host []byte) bool {
	for _, c := range host {
		if c >= 0x7f || c <= ' ' || bytes.IndexByte([]byte(`"#/<>?@\^`+"`{|}"), c) >= 0 {
			return false
		}
	}
	return true
}

// validKey reports whether key is the base64 form of 16 bytes.
func validKey(key []byte) bool {
	const size = 16
	if len(key) != keySize {
		return false
	}
	var nonce [size + 2]byte
	n, err := base64.StdEncoding.Decode(nonce[:], key)
	return err == nil && n == size
}

// hasToken reports whether a comma-separated list names word, in any case, before anything
// that is no token.
func hasToken(list []byte, word string) bool {
	for len(list) > 0 {
		var item []byte
		item, list, _ = bytes.Cut(list, []byte{','})
		if item = trim(item); tokenLen(item) != len(item) {
			return false
		}
		if equalFold(item, word) {
			return true
		}
	}
	return false
}

// HeaderField is the value of the first header field with that name, in any case, without
// surrounding white space; nil if there is none. It is borrowed as the fields are.
func (h *Handshake) HeaderField(name string) []byte {
	for rest := h.fields; ; {
		line, after, ok := cutLine(rest)
		if !ok || len(line) == 0 {
			return nil
		}
		if len(line) > len(name) && line[len(name)] == ':' && equalFold(line[:len(name)], name) {
			return trim(line[len(name)+1:])
		}
		rest = after
	}
}

// Fields are the values of the header fields of this name, in the order of the block, of
// which they borrow. They are valid as long as the block, after a Parse without an error.
func (h *Handshake) Fields(name string) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for rest := h.fields; ; {
			line, more, ok := cutLine(rest)
			if !ok || len(line) == 0 {
				return
			}
			rest = more
			if field, value, ok := cutField(line); ok && equalFold(field, name) && !yield(value) {
				return
			}
		}
	}
}
