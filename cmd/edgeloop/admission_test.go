package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
)

// addresses are where the node listens.
func (r *running) addresses(t *testing.T) (a addresses) {
	t.Helper()
	b, err := os.ReadFile(addressFile(r.dir))
	if err == nil {
		err = json.Unmarshal(b, &a)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// knock asks to be let in by WebSocket, with a query and header lines, and returns the
// status of the answer.
func knock(t *testing.T, addr, query, header string) (status string) {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /v1/device%s HTTP/1.1\r\nHost: node:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n", query, header)
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || len(line) < len("HTTP/1.1 200") {
		t.Fatalf("%s answers %q, %v", addr, line, err)
	}
	return line[len("HTTP/1.1 "):][:3]
}

// TestServe_TokenAudience: what tokens must say of whom they are for and who made them is
// the node's to choose, and the tool makes such tokens.
func TestServe_TokenAudience(t *testing.T) {
	r := serve(t, "--token-audience=edge", "--jwt-audience=edge-2", "--jwt-issuer=plant", "--jwt-leeway=1m")
	addr := r.addresses(t).Listen
	for args, want := range map[string]string{
		"--audience=edge --issuer=plant":   "101",
		"--audience=edge-2 --issuer=plant": "101",
		"--audience=edge-3 --issuer=plant": "401",
		"--audience=edge --issuer=other":   "401",
		"--audience=edge":                  "401",
		"":                                 "401",
	} {
		code, token, errs := tool(append([]string{"token", "--device=d1", "--data-dir=" + r.dir}, strings.Fields(args)...)...)
		if code != exitOK {
			t.Fatal(errs)
		}
		if got := knock(t, addr, "", "Authorization: Bearer "+token[:len(token)-1]+"\r\n"); got != want {
			t.Errorf("%q: %s, want %s", args, got, want)
		}
	}
	r.stop(t, exitOK)
}

// TestServe_ForeignOrigin: a page of another site does not get past a node that asks for no
// token, unless it is allowed. With a token it is no matter whose page it is.
func TestServe_ForeignOrigin(t *testing.T) {
	open := serve(t, "--auth=none", "--allowed-origins=https://app.example,http://10.0.0.1:8000")
	addr := open.addresses(t).Listen
	for origin, want := range map[string]string{ // knock asks for the host node:8080
		"":                          "101",
		"http://node:8080":          "403", // a name, which any site may give this address
		"https://NODE:8080":         "403",
		"https://app.example":       "101",
		"http://10.0.0.1:8000":      "101",
		"http://app.example":        "403",
		"https://app.example:444":   "403",
		"https://node":              "403",
		"http://node:8080.evil.com": "403",
		"https://evil.example":      "403",
		"null":                      "403",
		"file://":                   "403",
	} {
		header := ""
		if origin != "" {
			header = "Origin: " + origin + "\r\n"
		}
		if got := knock(t, addr, "?device=d", header); got != want {
			t.Errorf("%q: %s, want %s", origin, got, want)
		}
	}
	open.stop(t, exitOK)

	all := serve(t, "--auth=none", "--allowed-origins=*")
	if got := knock(t, all.addresses(t).Listen, "?device=d", "Origin: https://evil.example\r\n"); got != "101" {
		t.Errorf("where all are allowed: %s", got)
	}
	all.stop(t, exitOK)

	closed := serve(t)
	code, token, errs := tool("token", "--device=d1", "--data-dir="+closed.dir)
	if code != exitOK {
		t.Fatal(errs)
	}
	if got := knock(t, closed.addresses(t).Listen, "", "Origin: https://evil.example\r\nAuthorization: Bearer "+token[:len(token)-1]+"\r\n"); got != "101" {
		t.Errorf("with a token: %s", got)
	}
	closed.stop(t, exitOK)
}

// TestServe_BothFamilies: [::] is all addresses of the machine, those of IPv4 included.
func TestServe_BothFamilies(t *testing.T) {
	for _, others := range [][]string{nil, {"--mqtt-listen=127.0.0.1:0"}} {
		r := serve(t, append([]string{"--listen=[::]:0", "--auth=none"}, others...)...)
		a := r.addresses(t)
		_, port, err := net.SplitHostPort(a.Listeners[1])
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{"127.0.0.1", "::1"} {
			if got := knock(t, net.JoinHostPort(host, port), "?device=d", ""); got != "101" {
				t.Errorf("%s: %s", host, got)
			}
		}
		r.stop(t, exitOK)
	}
}

// TestServe_AnyPorts: port 0 may be asked for at one address as often as one likes, and
// each door is what it was asked to be.
func TestServe_AnyPorts(t *testing.T) {
	r := serve(t, "--listen=127.0.0.1:0", "--mqtt-listen=127.0.0.1:0", "--mqtt-listen=127.0.0.1:0", "--auth=none")
	a := r.addresses(t)
	if len(a.Listeners) != 4 {
		t.Fatalf("listeners %q", a.Listeners)
	}
	for i, addr := range a.Listeners {
		if slices.Contains(a.Listeners[:i], addr) {
			t.Errorf("%s is there twice", addr)
		}
		if i < 2 {
			if got := knock(t, addr, "?device=d", ""); got != "101" {
				t.Errorf("%s: %s", addr, got)
			}
			continue
		}
		conn, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01d")
		var ack [4]byte
		_, err = io.ReadFull(conn, ack[:])
		conn.Close()
		if err != nil || ack != [4]byte{0x20, 2, 0, 0} {
			t.Errorf("%s: CONNECT is answered with % x, %v", addr, ack, err)
		}
	}
	r.stop(t, exitOK)
}
