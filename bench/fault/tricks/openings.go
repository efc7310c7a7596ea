package tricks

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// openings are tried before anybody is let in.
func openings() []Trick {
	say := func(name, about, request string, want ...string) Trick {
		return Trick{Name: name, About: about, Want: want, try: func(t *try) string { return t.ask(t.doors.WS, request) }}
	}
	get := upgrade(devicePath)
	return []Trick{
		{Name: "silence", About: "nothing is said", Want: []string{cut}, Slow: true, try: func(t *try) string { return t.holds(t.doors.WS, "") }},
		{Name: "half", About: "half a request, then nothing", Want: []string{cut, "408"}, Slow: true, try: func(t *try) string { return t.holds(t.doors.WS, get[:40]) }},
		{Name: "slowloris", About: "a request whose fields never end, a byte at a time", Want: []string{cut}, Slow: true, Peers: 200, try: func(t *try) string {
			return t.drips(t.doors.WS, get+strings.Repeat("X-A: b\r\n", 20))
		}},
		say("head-10k", "a header block of 10 KiB", get+"X-A: "+strings.Repeat("a", 10<<10)+"\r\n\r\n", "431"),
		say("head-endless", "a header block of 300 KiB without an end", get+"X-A: "+strings.Repeat("a", 300<<10), "431", cut),
		say("fields-100", "a hundred fields", get+strings.Repeat("X-A: b\r\n", 100)+"\r\n", "431"),
		say("line-endless", "a request line of 300 KiB", "GET /"+strings.Repeat("a", 300<<10), "431", "400", "414", cut),
		say("no-host", "no Host", "GET /v1/device HTTP/1.1\r\n"+upgradeFields+"\r\n", "400"),
		say("two-hosts", "two Hosts", get+"Host: other\r\n\r\n", "400"),
		say("wrong-host", "the Host of another site, without a token", "GET /v1/device HTTP/1.1\r\nHost: evil.example\r\n"+upgradeFields+"\r\n", "401"),
		say("origin", "the Origin of another page, without a token", get+"Origin: https://evil.example\r\n\r\n", "401", "403"),
		say("h2c", "an upgrade to HTTP/2", "GET /v1/device HTTP/1.1\r\nHost: node\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n", "426"),
		say("h2-preface", "HTTP/2 without asking", h2Preface, "400", "405", "505"),
		say("http10", "HTTP/1.0", strings.Replace(get, "HTTP/1.1", "HTTP/1.0", 1)+"\r\n", "505"),
		say("version", "WebSocket version 8", strings.Replace(get, "Version: 13", "Version: 8", 1)+"\r\n", "426"),
		say("key", "a key of 15 bytes", strings.Replace(get, "AAAAAAAAAAAAAAAAAAAAAA==", "AAAAAAAAAAAAAAAAAAAA", 1)+"\r\n", "400"),
		say("post", "POST", strings.Replace(get, "GET", "POST", 1)+"\r\n", "405"),
		say("path", "a path of dots to the device's", strings.Replace(get, devicePath, "/v1/x/../device", 1)+"\r\n", "404"),
		say("path-escaped", "an escaped path", strings.Replace(get, devicePath, "/v1%2fdevice", 1)+"\r\n", "404"),
		say("connect", "as to a proxy: an absolute URL of another host", strings.Replace(get, devicePath, "http://evil.example/v1/device", 1)+"\r\n", "400", "401", "404"),
		say("noise", "64 KiB of noise", strings.Repeat("\x00\xff\x13", 21<<10), "400", "431", "405", "505", cut),
		{Name: "in-the-query", About: "a token of 100 KiB in the URL", Want: []string{"401", "431", "414", "400", cut}, try: func(t *try) string {
			return t.ask(t.doors.WS, upgrade(devicePath+"?token="+strings.Repeat("a.", 50<<10))+"\r\n")
		}},
	}
}

// smuggling are requests of which two readers could have two opinions.
func smuggling() []Trick {
	get := upgrade(devicePath)
	say := func(name, about, request string, want ...string) Trick {
		return Trick{Name: name, About: about, Want: want, try: func(t *try) string { return t.once(request) }}
	}
	return []Trick{
		say("two-lengths", "two Content-Lengths", get+"Content-Length: 0\r\nContent-Length: 5\r\n\r\nGET /", "400"),
		say("length", "a body", get+"Content-Length: 5\r\n\r\nhello", "400"),
		say("chunked", "Transfer-Encoding", get+"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
		say("length-chunked", "Content-Length and Transfer-Encoding", get+"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"),
		say("bare-lf", "lines that end in LF alone", strings.ReplaceAll(get, "\r\n", "\n")+"\n", "400"),
		say("one-lf", "a field behind LF alone", get+"X-A: b\nX-B: c\r\n\r\n", "400"),
		say("cr", "a CR in a value", get+"X-A: b\rX-B: c\r\n\r\n", "400"),
		say("nul", "a NUL in a value", get+"X-A: b\x00c\r\n\r\n", "400"),
		say("folded", "a folded field", get+"X-A: b\r\n c\r\n\r\n", "400"),
		say("colon", "a blank before the colon", get+"X-A : b\r\n\r\n", "400"),
		say("blank", "blanks around the version", strings.Replace(get, " HTTP/1.1", "  HTTP/1.1", 1)+"\r\n", "400", "505"),
		say("two-tokens", "two Authorizations", get+"Authorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n", "400", "401"),
		say("two-keys", "two keys", get+"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", "400"),
		say("pipelined", "a second request behind one that is refused", get+"\r\nGET /v1/device HTTP/1.1\r\nHost: node\r\n\r\n", "401"),
		{Name: "pipelined-upgrade", About: "a second request behind one that is let in: it is no frame", Want: []string{"close 1002"}, try: func(t *try) string {
			d, err := t.device()
			if err != nil {
				return t.ended(err)
			}
			return d.end(upgrade(devicePath) + "\r\n")
		}},
	}
}

// once asks, and insists that there is one answer and then the end.
func (t *try) once(request string) string {
	c, err := t.dial(t.doors.WS)
	if err != nil {
		return t.ended(err)
	}
	defer c.Close()
	status, r := t.say(c, request)
	if status == cut || status == open {
		return status
	}
	rest, err := io.ReadAll(r)
	switch {
	case strings.Contains(string(rest), "HTTP/1."):
		return fmt.Sprintf("%s and another answer", status)
	case err != nil && t.ended(err) == open:
		return status + ", and it stays open"
	}
	return status
}

// holds begins, and says nothing more.
func (t *try) holds(addr, begin string) string {
	c, err := t.dial(addr)
	if err != nil {
		return t.ended(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, begin); err != nil {
		return t.ended(err)
	}
	return t.wait(c)
}

// drips says everything, again and again, a byte at a time.
func (t *try) drips(addr, text string) string {
	c, err := t.dial(addr)
	if err != nil {
		return t.ended(err)
	}
	defer c.Close()
	return t.drip(c, text, 50*time.Millisecond)
}
