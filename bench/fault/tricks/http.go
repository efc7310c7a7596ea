package tricks

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// upgrade is a device's request without an end; further header lines and an empty one follow.
func upgrade(path string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: node\r\n" + upgradeFields
}

const upgradeFields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
	"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: edgeloop.v1.json\r\n"

const devicePath = "/v1/device"

// asking is a request with a good token of the device that tries.
func (t *try) asking(fields string) string {
	return upgrade(devicePath) + "Authorization: Bearer " + t.doors.Token(t.name()) + "\r\n" + fields + "\r\n"
}

// ask writes a request and reads the status of the answer.
func (t *try) ask(addr, request string) string {
	c, err := t.dial(addr)
	if err != nil {
		return t.ended(err)
	}
	defer c.Close()
	status, _ := t.say(c, request)
	return status
}

// say writes a request on a connection, and reads the head of the answer; what follows it is
// in r.
func (t *try) say(c net.Conn, request string) (status string, r *bufio.Reader) {
	go func() { _, _ = io.WriteString(c, request) }() // the answer may come, and the connection go, before all is written
	r = bufio.NewReader(c)
	return t.status(r), r
}

// status reads the head of an answer.
func (t *try) status(r *bufio.Reader) string {
	line, err := r.ReadString('\n')
	if err != nil {
		return t.ended(err)
	}
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(rest, " ")
	if _, err := strconv.Atoi(code); err != nil || version != "HTTP/1.1" {
		return fmt.Sprintf("an answer that is none: %.40q", line)
	}
	for strings.TrimSpace(line) != "" {
		if line, err = r.ReadString('\n'); err != nil {
			return t.ended(err)
		}
	}
	return strings.TrimSpace(code)
}

// api asks the admin API with a token, and returns the status, with the body.
func (t *try) api(method, path, token, body string) (status string, answer []byte) {
	c, err := t.dial(t.doors.Admin)
	if err != nil {
		return t.ended(err), nil
	}
	defer c.Close()
	fields := "Connection: close\r\n"
	if token != "" {
		fields += "Authorization: Bearer " + token + "\r\n"
	}
	if body != "" {
		fields += fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	_, err = fmt.Fprintf(c, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n%s", method, path, t.doors.Admin, fields, body)
	if err != nil {
		return t.ended(err), nil
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return t.ended(err), nil
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return t.ended(err), nil
	}
	return strconv.Itoa(resp.StatusCode), answer
}

// remote is for whom the node takes a device: its address, without the port.
func (t *try) remote(tenant, device string) string {
	status, answer := t.api("GET", "/v1/devices/"+tenant+"/"+device, t.doors.Reader, "")
	var is struct{ Remote string }
	if err := json.Unmarshal(answer, &is); err != nil || status != "200" {
		return "the node says " + status
	}
	host, _, err := net.SplitHostPort(is.Remote)
	if err != nil {
		return is.Remote
	}
	return host
}
