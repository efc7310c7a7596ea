package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"edgeloop/admin/api"
)

// maxReply is more than any reply of a node, in bytes; it guards against an
// address that is not a node.
const maxReply = 64 << 20

// Client is one node's admin API.
type Client struct {
	// URL of the node, "http://127.0.0.1:9090".
	URL string
	// Token is the admin token; empty for Live and Ready, which need none.
	Token string
	// HTTP sends the requests; nil is http.DefaultClient. It must have no timeout
	// of its own if commands are waited for or a log is followed.
	HTTP *http.Client
	// OnRetry, if set, hears why a tail that is followed is being taken up again,
	// once for each break. It is called by Tail.
	OnRetry func(err error)
}

// call sends one request and decodes its reply into out, if that is not nil.
func (c *Client) call(ctx context.Context, method, path string, query url.Values, in, out any) (status int, err error) {
	res, err := c.send(ctx, method, path, query, in, "application/json")
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if out == nil || res.StatusCode == http.StatusNoContent {
		return res.StatusCode, nil
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, res.Body, maxReply))
	if err == nil {
		err = json.Unmarshal(body, out)
	}
	if err != nil {
		return res.StatusCode, fmt.Errorf("%s %s: read the reply: %w", method, path, err)
	}
	return res.StatusCode, nil
}

// send returns a response of class 2xx, its body still to be read; any other
// one as an *api.Problem.
func (c *Client) send(ctx context.Context, method, path string, query url.Values, in any, accept string) (*http.Response, error) {
	res, err := c.do(ctx, method, path, query, in, accept)
	if err != nil || res.StatusCode/100 == 2 {
		return res, err
	}
	defer res.Body.Close()
	return nil, problemOf(res)
}

// do returns whatever response came, its body still to be read.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, in any, accept string) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false) // a command's data has a bound, and goes as it is
		if err := e.Encode(in); err != nil {
			return nil, fmt.Errorf("%s %s: write the request: %w", method, path, err)
		}
		body = &b
	}
	target := strings.TrimSuffix(c.URL, "/") + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	req.Header.Set("Accept", accept)
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	hc := c.HTTP
	if hc == nil {
		hc = http.DefaultClient
	}
	return hc.Do(req) //nolint:wrapcheck // it is a *url.Error, which names the request
}

// problemOf reads the problem document of a refusal, or makes one of what else
// came, for instance from a proxy.
func problemOf(res *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // what could be read is enough
	p := new(api.Problem)
	mediaType, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if mediaType == api.ProblemType && json.Unmarshal(body, p) == nil && p.Status != 0 {
		return p
	}
	detail := strings.TrimSpace(string(body[:min(len(body), 200)]))
	return &api.Problem{Type: "about:blank", Title: http.StatusText(res.StatusCode), Status: res.StatusCode, Detail: detail}
}

// devicePath is the path of a device, below /v1.
func devicePath(collection, tenant, device string) string {
	return "/v1/" + collection + "/" + url.PathEscape(tenant) + "/" + url.PathEscape(device)
}
