package fault

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
	"os"
	"strconv"
)

// call asks the node's admin API. A status is not an error. Any goroutine.
func (n *Node) call(ctx context.Context, method, path string, body any) (status int, answer []byte, err error) {
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
	if token, err := n.token(); err == nil {
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

// Listed is a device as the node lists it.
type Listed struct {
	Device  string
	Online  bool
	Epoch   uint64
	Durable uint64
}

// Devices is the node's whole list, page by page.
func (n *Node) Devices(ctx context.Context) ([]Listed, error) {
	var all []Listed
	for after := ""; ; {
		path := "/v1/devices?limit=1000"
		if after != "" {
			path += "&after=" + url.QueryEscape(after)
		}
		status, answer, err := n.call(ctx, "GET", path, nil)
		if err != nil {
			return nil, fmt.Errorf("list devices: %w", err)
		}
		var page struct {
			Devices []Listed
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

// Send sends a command and waits up to wait for the reply; wait "" leaves it.
// The identifier is empty if the node did not tell it.
func (n *Node) Send(ctx context.Context, device, wait, ttl string) (id string, status int, err error) {
	path := "/v1/devices/default/" + url.PathEscape(device) + "/commands"
	if wait != "" {
		path += "?wait=" + wait
	}
	body := map[string]any{"name": "mark", "data": 1}
	if ttl != "" {
		body["ttl"] = ttl
	}
	status, answer, err := n.call(ctx, "POST", path, body)
	if err != nil {
		return "", status, err
	}
	var reply struct{ ID string }
	_ = json.Unmarshal(answer, &reply) // a problem has no id
	return reply.ID, status, nil
}

// usage is what the process holds: resident memory and descriptors.
type usage struct {
	rss int64
	fds int
}

func readUsage(pid int) (u usage, err error) {
	names, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return u, err
	}
	u.fds = len(names)
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return u, err
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return u, fmt.Errorf("statm: %q", b)
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	u.rss = pages * int64(os.Getpagesize())
	return u, err
}

// newLineReader takes lines of up to 8 MiB, the most that a record can have.
func newLineReader(r io.Reader) *bufio.Scanner {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 1<<20), 16<<20)
	return s
}
