package tricks

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// adminTricks ask the admin API for what they may not have.
func adminTricks() []Trick {
	// raw asks whatever a client would not.
	raw := func(name, about, request string, want ...string) Trick {
		return Trick{Name: name, About: about, Want: want, try: func(t *try) string {
			return t.ask(t.doors.Admin, strings.NewReplacer("READER", t.doors.Reader, "BOUND", t.doors.Bound, "HOST", t.doors.Admin).Replace(request))
		}}
	}
	get := func(path, fields string) string {
		return "GET " + path + " HTTP/1.1\r\nHost: HOST\r\n" + fields + "\r\n"
	}
	post := func(method, path, fields string) string {
		return method + " " + path + " HTTP/1.1\r\nHost: HOST\r\nContent-Type: application/json\r\nContent-Length: 2\r\n" + fields + "\r\n{}"
	}
	const reader, bound = "Authorization: Bearer READER\r\n", "Authorization: Bearer BOUND\r\n"
	return []Trick{
		raw("reader", "a good token: it is served", get("/v1/devices?limit=1", reader), "200"),
		raw("no-token", "no token", get("/v1/devices", ""), "401"),
		raw("wrong-token", "a wrong one", get("/v1/devices", "Authorization: Bearer guess\r\n"), "401"),
		raw("half-token", "one that begins well", get("/v1/devices", "Authorization: Bearer REA\r\n"), "401"),
		raw("two-tokens", "a good one and a wrong one", get("/v1/devices", reader+"Authorization: Bearer guess\r\n"), "401"),
		raw("basic", "a good one by Basic", get("/v1/devices", "Authorization: Basic READER\r\n"), "401"),
		raw("in-query", "a good one in the URL", get("/v1/devices?token=READER", ""), "401"),
		raw("no-paths", "which paths there are, without a token", get("/v1/no-such-thing", ""), "401"),
		raw("pprof", "profiles without a token", get("/debug/pprof/heap", ""), "401"),
		raw("read-kick", "to cut a device off with a token that reads", post("DELETE", "/v1/devices/default/d00000/connection", reader), "403"),
		raw("read-command", "to command with it", post("POST", "/v1/devices/default/d00000/commands", reader), "403"),
		raw("read-ban", "to ban with it", post("PUT", "/v1/bans/default/d00000", reader), "403"),
		raw("read-drain", "to end the node with it", post("POST", "/v1/drain", reader), "403"),
		raw("read-limits", "to change the limits with it", post("PATCH", "/v1/limits", reader), "403"),
		raw("read-override", "the same by another method's name", post("POST", "/v1/limits", reader+"X-HTTP-Method-Override: PATCH\r\n"), "403", "405"),
		raw("bound-node", "the node's affairs with a tenant's token", get("/v1/node", bound), "403"),
		raw("bound-trim", "to trim the log with it", post("POST", "/v1/log/trim", bound), "403"),
		raw("path-up", "a path that goes up", get("/v1/devices/../../debug/pprof/cmdline", reader), "403", "404", "307", "301", "400"),
		raw("path-up-escaped", "the same, escaped", get("/v1/devices/%2e%2e/%2e%2e/debug/pprof/cmdline", reader), "403", "404", "422", "307", "301", "400"),
		raw("slash", "a device's name with an escaped slash", get("/v1/devices/default/..%2fother", reader), "422", "404", "400"),
		raw("nul", "a device's name with a NUL", get("/v1/devices/default/a%00b", reader), "422", "404", "400"),
		raw("subject", "a device's name that is all of them", get("/v1/devices/default/*", reader), "422", "404"),
		raw("file", "a file of the dashboard's that is none", get("/dashboard/..%2f..%2fetc%2fpasswd", ""), "404", "400", "401"),
		raw("rebinding", "the Host of another site (DNS rebinding), without a token", strings.Replace(get("/v1/devices", ""), "HOST", "evil.example", 1), "421"),
		raw("rebinding-page", "the dashboard under another name", strings.Replace(get("/", ""), "HOST", "evil.example", 1), "421"),
		raw("rebinding-guess", "the same with a token that is none", strings.Replace(get("/v1/devices", "Authorization: Bearer guess\r\n"), "HOST", "evil.example", 1), "421"),
		raw("rebinding-query", "the same with a good one in the URL", strings.Replace(get("/v1/devices?access_token=READER", ""), "HOST", "evil.example", 1), "421"),
		raw("rebinding-cookie", "the same with a good one in a cookie", strings.Replace(get("/v1/devices", "Cookie: token=READER\r\n"), "HOST", "evil.example", 1), "421"),
		raw("rebinding-like", "the dashboard under a name that begins as an address does", strings.Replace(get("/", ""), "HOST", "127.0.0.1.evil.example:9090", 1), "421"),
		raw("rebinding-two", "two Hosts, one of them good", strings.Replace(get("/", "Host: 127.0.0.1\r\n"), "HOST", "evil.example", 1), "400"),
		raw("forwarded-host", "the same by the fields of a proxy", strings.Replace(get("/", "X-Forwarded-Host: 127.0.0.1\r\nForwarded: host=127.0.0.1\r\n"), "HOST", "evil.example", 1), "421"),
		raw("absolute", "an absolute URL", strings.Replace(get("/v1/devices", ""), "/v1", "http://evil.example/v1", 1), "421"),
		raw("connect", "as to a proxy", "CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: HOST\r\n\r\n", "401", "404", "405", "400"),
		raw("trace", "TRACE, to see fields", "TRACE / HTTP/1.1\r\nHost: HOST\r\nX-Secret: 1\r\n\r\n", "405", "401", "404"),
		raw("smuggled", "two opinions on the length", "POST /v1/broadcast HTTP/1.1\r\nHost: HOST\r\n"+reader+"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400", "403"),
		raw("two-lengths", "two lengths", "POST /v1/broadcast HTTP/1.1\r\nHost: HOST\r\n"+reader+"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde", "400"),
		raw("field-split", "a line break in a name", get("/v1/devices/default/a%0d%0aX-Evil:%201", reader), "422", "404", "400"),
	}
}

// adminWeight is who wants to be a burden.
func adminWeight() []Trick {
	return []Trick{
		{Name: "head", About: "a header of 1 MiB", Want: []string{"431", cut}, try: func(t *try) string {
			return t.ask(t.doors.Admin, "GET / HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
		}},
		{Name: "body", About: "a body of 64 MiB, without a token", Want: []string{"401", cut}, try: func(t *try) string { return t.body("", 64<<20) }},
		{Name: "body-bound", About: "the same with a token", Want: []string{"413", cut}, try: func(t *try) string { return t.body(t.doors.Bound, 64<<20) }},
		{Name: "body-deep", About: "a body nested 100,000 deep", Want: []string{"400", "413", "422"}, try: func(t *try) string {
			status, _ := t.api("POST", "/v1/devices/other/d/commands", t.doors.Bound, `{"name":"x","data":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)+`}`)
			return status
		}},
		{Name: "slow-head", About: "requests without an end, a byte at a time", Want: []string{cut, open}, Slow: true, Peers: 200, try: func(t *try) string {
			return t.drips(t.doors.Admin, "GET / HTTP/1.1\r\nHost: a\r\n"+strings.Repeat("X-A: b\r\n", 100))
		}},
		{Name: "idle", About: "connections that say nothing, hundreds of them; another is still served", Want: []string{"200"}, Peers: 300, try: func(t *try) string { return t.idles(t.doors.Admin) }},
		{Name: "health-idle", About: "the same at the listener of probes", Want: []string{"200"}, Peers: 300, try: func(t *try) string { return t.idles(t.doors.Health) }},
		{Name: "health-token", About: "the API at the listener of probes, with a good token", Want: []string{"404"}, try: func(t *try) string {
			return t.ask(t.doors.Health, "GET /v1/devices HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer "+t.doors.Reader+"\r\n\r\n")
		}},
		{Name: "health-head", About: "a header of 1 MiB there", Want: []string{"431", cut}, try: func(t *try) string {
			return t.ask(t.doors.Health, "GET /healthz HTTP/1.1\r\nHost: a\r\nX: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
		}},
		{Name: "slow-body", About: "a command's body, a byte at a time, with a token", Want: []string{"408", "400", cut, open}, Slow: true, try: func(t *try) string {
			c, err := t.dial(t.doors.Admin)
			if err != nil {
				return t.ended(err)
			}
			defer c.Close()
			if _, err := fmt.Fprintf(c, "POST /v1/broadcast HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer %s\r\nContent-Length: 100000\r\n\r\n", t.doors.Bound); err != nil {
				return t.ended(err)
			}
			return t.drip(c, " ", 50*time.Millisecond)
		}},
	}
}

// idles keeps a connection, and asks for the node's health on others.
func (t *try) idles(addr string) string {
	c, err := t.dial(addr)
	if err != nil {
		return t.ended(err)
	}
	defer c.Close()
	_ = c.SetReadDeadline(time.Now().Add(Patience / 4))
	_ = t.wait(c)  // it may give way to others
	for range 20 { // and so may the one that asks, to the others of this trick
		if status := t.ask(addr, "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"); status != cut {
			return status
		}
	}
	return cut
}

// body sends a large one.
func (t *try) body(token string, size int) string {
	c, err := t.dial(t.doors.Admin)
	if err != nil {
		return t.ended(err)
	}
	defer c.Close()
	go func() {
		_, _ = fmt.Fprintf(c, "POST /v1/devices/other/d/commands HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", t.doors.Admin, token, size)
		piece := strings.Repeat(" ", 64<<10)
		for sent := 0; sent < size; sent += len(piece) {
			if _, err := io.WriteString(c, piece); err != nil {
				return
			}
		}
	}()
	status, _ := t.say(c, "")
	return status
}
