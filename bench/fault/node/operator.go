package node

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"edgeloop/bench/fault/history"
)

// Call asks the node's admin API. A status is not an error. Any goroutine.
func (n *Node) Call(ctx context.Context, method, path string, body any) (status int, answer []byte, err error) {
	var in io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return 0, nil, err
		}
		in = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://"+n.Admin+path, in)
	if err != nil {
		return 0, nil, err
	}
	if token, err := n.Token(); err == nil {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	transport := &http.Transport{DisableKeepAlives: true}
	if n.Net != nil {
		transport.DialContext = func(_ context.Context, _, addr string) (net.Conn, error) { return n.Net.Dial(addr) }
	}
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// Devices is the node's list of the tenant of the crew, page by page.
func (n *Node) Devices(ctx context.Context) ([]history.Listed, error) {
	var all []history.Listed
	for after := ""; ; {
		path := "/v1/devices?tenant=default&limit=1000"
		if after != "" {
			path += "&after=" + url.QueryEscape(after)
		}
		status, answer, err := n.Call(ctx, "GET", path, nil)
		if err != nil {
			return nil, fmt.Errorf("list devices: %w", err)
		}
		var page struct {
			Devices []history.Listed
			Next    string
		}
		if err := json.Unmarshal(answer, &page); err != nil || status != http.StatusOK {
			return nil, fmt.Errorf("list devices: status %d: %.200s", status, answer)
		}
		all = append(all, page.Devices...)
		if after = page.Next; after == "" {
			return all, nil
		}
	}
}

// Send sends a command and waits up to wait for the reply; with wait "" it stores the command. id
// is empty if the node gave none.
func (n *Node) Send(ctx context.Context, device, wait, ttl string) (id string, status int, err error) {
	path := "/v1/devices/default/" + url.PathEscape(device) + "/commands"
	if wait != "" {
		path += "?wait=" + wait
	}
	body := map[string]any{"name": "mark", "data": 1}
	if ttl != "" {
		body["ttl"] = ttl
	}
	status, answer, err := n.Call(ctx, "POST", path, body)
	if err != nil {
		return "", status, err
	}
	var reply struct{ ID string }
	_ = json.Unmarshal(answer, &reply) // a problem has no id
	return reply.ID, status, nil
}

// newLineReader reads lines of up to 8 MiB, the size of the largest record.
func newLineReader(r io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 1<<20), 16<<20)
	return s
}
