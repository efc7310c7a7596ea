package wsproto_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"edgeloop/wsproto"
)

// The server's order decides which subprotocol is spoken.
// [RFC6455 1.9] [RFC6455 4.2.2]
func TestHandshake_Protocols(t *testing.T) {
	cfg := &wsproto.HandshakeConfig{Protocols: []string{"v2", "v1"}}
	for _, tt := range []struct {
		name     string
		offers   []string
		protocol string
		offered  int
		bearer   string
	}{
		{"none offered", nil, "", 0, ""},
		{"one", []string{"v1"}, "v1", 1, ""},
		{"the client prefers another than the server", []string{"v1, v2"}, "v2", 2, ""},
		{"over two lines [RFC6455 11.3.4]", []string{"v1", "v2"}, "v2", 2, ""},
		{"without white space", []string{"a,v1,b"}, "v1", 3, ""},
		{"only unknown ones", []string{"a, b"}, "", 2, ""},
		{"names are case-sensitive", []string{"V1"}, "", 1, ""},
		{"a bearer token", []string{"v1, bearer.a.b-c_d"}, "v1", 1, "a.b-c_d"},
		{"a bearer token alone", []string{"bearer.abc"}, "", 0, "abc"},
		{"an empty bearer token", []string{"bearer."}, "", 0, ""},
		{"empty elements [RFC9110 5.6.1.2]", []string{", v1,,v2 ,\t,"}, "v2", 2, ""},
		{"a line of empty elements beside one with a name", []string{"", "v1", ","}, "v1", 1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var lines []string
			for _, o := range tt.offers {
				lines = append(lines, "Sec-WebSocket-Protocol: "+o)
			}
			h, err := shake(cfg, with(lines...))
			if err != nil {
				t.Fatal(err)
			}
			if h.Protocol != tt.protocol || h.Offered != tt.offered || string(h.BearerProtocol) != tt.bearer {
				t.Errorf("protocol %q, offered %d, bearer %q", h.Protocol, h.Offered, h.BearerProtocol)
			}
			response := string(h.AppendResponse(nil))
			line := "Sec-WebSocket-Protocol: " + tt.protocol + "\r\n"
			if strings.Contains(response, line) != (tt.protocol != "") || strings.Contains(response, "bearer") {
				t.Errorf("response %q", response)
			}
		})
	}
}

// [RFC6455 4.1] [RFC6455 9.1]
func TestHandshake_MalformedOffers(t *testing.T) {
	var many []string
	for i := range 17 {
		many = append(many, fmt.Sprintf("p%d", i))
	}
	for _, line := range []string{
		"Sec-WebSocket-Protocol: ",
		"Sec-WebSocket-Protocol: , ,",
		"Sec-WebSocket-Protocol: a b",
		"Sec-WebSocket-Protocol: a/b",
		"Sec-WebSocket-Protocol: a, b, a",
		"Sec-WebSocket-Protocol: bearer.a, bearer.b",
		"Sec-WebSocket-Protocol: " + strings.Join(many, ","),
		"Sec-WebSocket-Extensions: ",
		"Sec-WebSocket-Extensions: , ,",
		"Sec-WebSocket-Extensions: a;",
		"Sec-WebSocket-Extensions: a; b=",
		"Sec-WebSocket-Extensions: a; =b",
		"Sec-WebSocket-Extensions: a b",
		"Sec-WebSocket-Extensions: a; b=c d",
		`Sec-WebSocket-Extensions: a; b="`,
		`Sec-WebSocket-Extensions: a; b=""`,
		`Sec-WebSocket-Extensions: a; b="c`,
		`Sec-WebSocket-Extensions: a; b="c\`,
		`Sec-WebSocket-Extensions: a; b="c d"`,
	} {
		t.Run(line, func(t *testing.T) {
			_, err := shake(&wsproto.HandshakeConfig{Compression: true}, with(line))
			var r *wsproto.Refusal
			if !errors.As(err, &r) || r.Status != 400 {
				t.Errorf("err %v", err)
			}
		})
	}
}

// The answer to each way of offering compression. An offer that cannot be met
// is declined by silence, and the connection opens without it.
// [RFC7692 5] [RFC7692 7.1]
func TestHandshake_Compression(t *testing.T) {
	const agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover" // [RFC7692 7.1.1.1] [RFC7692 7.1.1.2]
	for _, tt := range []struct {
		offer  string
		answer string
		bits   uint8
	}{
		{"permessage-deflate", agreed, 15},
		{"PerMessage-Deflate", agreed, 15},
		{"permessage-deflate; client_max_window_bits", agreed, 15},    // [RFC7692 7.1.2.2] what browsers send
		{"permessage-deflate; client_max_window_bits=10", agreed, 15}, // [RFC7692 7.1.2.2]
		{"permessage-deflate; server_no_context_takeover; client_no_context_takeover", agreed, 15},
		{"permessage-deflate; server_max_window_bits=15", agreed + "; server_max_window_bits=15", 15}, // [RFC7692 7.1.2.1]
		{"permessage-deflate; server_max_window_bits=8", agreed + "; server_max_window_bits=8", 8},    // [RFC7692 7.1.2.1]
		{`permessage-deflate; server_max_window_bits="10"`, agreed + "; server_max_window_bits=10", 10},
		{"permessage-deflate ; server_max_window_bits = 9 , x", agreed + "; server_max_window_bits=9", 9},
		{"x-webkit-deflate-frame, permessage-deflate", agreed, 15},
		{", x, ,permessage-deflate;client_max_window_bits,,", agreed, 15}, // [RFC9110 5.6.1.2]
		{"foo; a=b; c, permessage-deflate", agreed, 15},
		{"permessage-deflate; server_max_window_bits=7, permessage-deflate", agreed, 15}, // the next offer is the fallback
		{"permessage-deflate; server_max_window_bits=9, permessage-deflate", agreed + "; server_max_window_bits=9", 9},

		{"permessage-deflate; unknown", "", 0},
		{"permessage-deflate; server_max_window_bits", "", 0},     // [RFC7692 7.1.2.1]
		{"permessage-deflate; server_max_window_bits=16", "", 0},  // [RFC7692 7.1.2.1]
		{"permessage-deflate; server_max_window_bits=08", "", 0},  // [RFC7692 7.1.2.1]
		{"permessage-deflate; server_max_window_bits=010", "", 0}, // [RFC7692 7.1.2.1]
		{`permessage-deflate; server_max_window_bits="1\0"`, "", 0},
		{"permessage-deflate; client_max_window_bits=7", "", 0}, // [RFC7692 7.1.2.2]
		{"permessage-deflate; server_no_context_takeover=1", "", 0},
		{"permessage-deflate; client_no_context_takeover=1", "", 0},
		{"permessage-deflate; server_no_context_takeover; server_no_context_takeover", "", 0},
		{"permessage-deflate; client_max_window_bits; client_max_window_bits=9", "", 0},
		{"x-webkit-deflate-frame", "", 0},
	} {
		t.Run(tt.offer, func(t *testing.T) {
			checkCompression(t, tt.answer, tt.bits, "Sec-WebSocket-Extensions: "+tt.offer)
		})
	}
	t.Run("offers over two lines [RFC6455 11.3.2]", func(t *testing.T) {
		checkCompression(t, agreed, 15, "Sec-WebSocket-Extensions: foo", "Sec-WebSocket-Extensions: permessage-deflate")
	})
	t.Run("a server that does not want it", func(t *testing.T) {
		h, err := shake(&wsproto.HandshakeConfig{}, with("Sec-WebSocket-Extensions: permessage-deflate"))
		if err != nil || h.Compression || strings.Contains(string(h.AppendResponse(nil)), "Extensions") {
			t.Errorf("compression %v, err %v", h.Compression, err)
		}
	})
}

func checkCompression(t *testing.T, answer string, bits uint8, lines ...string) {
	t.Helper()
	h, err := shake(&wsproto.HandshakeConfig{Compression: true}, with(lines...))
	if err != nil {
		t.Fatal(err)
	}
	_, got, _ := strings.Cut(string(h.AppendResponse(nil)), "Sec-WebSocket-Extensions: ")
	got, _, _ = strings.Cut(got, "\r\n")
	if got != answer || h.Compression != (answer != "") || h.WindowBits != bits {
		t.Errorf("answer %q, compression %v, %d bits; want %q, %d bits", got, h.Compression, h.WindowBits, answer, bits)
	}
}
