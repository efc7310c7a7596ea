package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
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
	r := serve(t, "--token-audience=edge", "--token-audience=edge-2", "--token-issuer=plant", "--token-leeway=1m")
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
