package wsproto

// HandshakeConfig is what a server is willing to agree to. It is shared by all
// connections and must not change while in use.
type HandshakeConfig struct {
	Protocols      []string // subprotocols that the server speaks, the preferred one first
	Compression    bool     // whether permessage-deflate may be negotiated
	MaxHeaderBytes int      // of the whole header block; 0 = 8192; too small: 431 for honest clients
	MaxHeaders     int      // header fields; 0 = 64
}

// Handshake is one client's opening handshake. It is reusable: Parse sets every
// field. Byte fields borrow the block given to Parse, until that block is
// reused or Parse is called again. It must not be copied.
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
	WindowBits     uint8  // 8 to 15 with Compression, for AppendCompressed
}

// FindHeader looks for the end of the header block at the front of b. n is its
// length with the blank line, or 0 while more bytes are needed. err is a
// *Refusal as soon as no further bytes can make it acceptable.
func FindHeader(b []byte, cfg *HandshakeConfig) (n int, err error) { return 0, nil }

// Parse checks block, which FindHeader measured, and prepares the response.
// block is borrowed for as long as the fields of h are used. err is a *Refusal.
func (h *Handshake) Parse(cfg *HandshakeConfig, block []byte) error { return nil }

// AppendResponse appends the 101 that accepts the handshake last parsed without
// an error, and returns the longer slice.
func (h *Handshake) AppendResponse(dst []byte) []byte { return dst }

// Header is the value of the first header field of that name, in any case,
// without the white space around it; nil if there is none. It is borrowed as
// the fields are.
func (h *Handshake) Header(name string) []byte { return nil }
