package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	neturl "net/url"
	"os"
	"path/filepath"
	"strings"

	"edgeloop/admin/api"
	"edgeloop/admin/client"
	"edgeloop/auth"
)

// remote says how a command reaches the node's admin API.
type remote struct {
	DataDir        string `default:"${data_dir}" type:"path" help:"Data directory of the node, which has the admin token and the address."`
	AdminURL       string `name:"admin-url" default:"" help:"URL of the admin API; default: as in the data directory of the node."`
	AdminTokenFile string `default:"" type:"path" help:"File of the admin token; default DATA_DIR/admin.token."`
	trust
}

// client is the API of the node that the flags name.
func (r remote) client() (*client.Client, error) {
	path := r.AdminTokenFile
	if path == "" {
		path = adminTokenFile(r.DataDir)
	}
	token, err := auth.ReadToken(path)
	if err != nil {
		return nil, fmt.Errorf("%w; name the node's data directory with --data-dir, or the file with --admin-token-file", err)
	}
	url, over, err := r.reach()
	if err != nil {
		return nil, err
	}
	return &client.Client{URL: url, Token: token, HTTP: over}, nil
}

// reach is where the admin API of that node is, and what speaks to it. Without an address there is
// no guess: a token would go to whoever listens there.
func (r remote) reach() (url string, over *http.Client, err error) {
	if url = r.AdminURL; url == "" {
		at, err := readAddresses(r.DataDir, addresses{})
		switch {
		case err != nil:
			return "", nil, err
		case at.Admin == "":
			return "http://node.invalid", &http.Client{Transport: nowhere(r.DataDir)}, nil
		}
		url = at.adminURL()
		if err := r.encrypted(url); err != nil {
			return "", nil, err
		}
		over, err = r.over(at.AdminCert)
		return url, over, err
	}
	if u, err := neturl.Parse(url); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", nil, usageError{fmt.Errorf("--admin-url=%s: give http://host:port or https://host:port", url)}
	}
	if err := r.encrypted(url); err != nil {
		return "", nil, err
	}
	over, err = r.over("")
	return url, over, err
}

// nowhere sends nothing: no node has written into the data directory of this name where it is.
// What is wrong with a request by itself is said before.
type nowhere string

// RoundTrip implements http.RoundTripper.
func (n nowhere) RoundTrip(*http.Request) (*http.Response, error) { return nil, n }

func (n nowhere) Error() string {
	return fmt.Sprintf("no node runs with --data-dir=%s, or it is still starting: start it, name the data directory of one that runs, or give --admin-url", string(n))
}

// explain says in one line what went wrong, and what to do where that is known.
func explain(err error) string {
	var problem *api.Problem
	var request *neturl.Error
	var no nowhere
	switch {
	case errors.As(err, &problem) && problem.Status == http.StatusUnauthorized:
		return "the node does not take this admin token: name the data directory of that node with --data-dir, or the file with --admin-token-file"
	case errors.As(err, &problem) && strings.HasPrefix(problem.Detail, wantsTLS):
		return "the node speaks TLS there: give --admin-url with https://"
	case errors.As(err, &problem) && problem.ID != "":
		return fmt.Sprintf("%s (%d, command %s)", problem.Detail, problem.Status, problem.ID)
	case errors.As(err, &problem):
		return fmt.Sprintf("%s (%d)", strings.TrimPrefix(problem.Detail, "api: "), problem.Status)
	case errors.As(err, &no):
		return no.Error()
	case errors.As(err, &request):
		at := request.URL
		if u, err := neturl.Parse(at); err == nil {
			at = u.Scheme + "://" + u.Host
		}
		if how := mistrusts(request.Err); how != "" {
			return fmt.Sprintf("the node at %s: %v: %s", at, request.Err, how)
		}
		return fmt.Sprintf("no node answers at %s: %v; is it running? name its data directory with --data-dir, or its address with --admin-url", at, request.Err)
	}
	return err.Error()
}

// readAddresses reads where the node listens from what it left in its data directory; one
// that starts has not written it down, and is where it is configured to be.
func readAddresses(dataDir string, configured addresses) (a addresses, err error) {
	b, err := os.ReadFile(addressFile(dataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return configured, nil
	}
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(b, &a); err != nil {
		return a, fmt.Errorf("%s: %w", addressFile(dataDir), err)
	}
	return a, nil
}

// addresses is what a node writes down for those who look for it.
type addresses struct {
	Listen    string   `json:"listen"` // the first of Listeners
	Listeners []string `json:"listeners"`
	TLS       string   `json:"tls,omitempty"`  // the first of them that speaks WebSocket by TLS
	MQTT      string   `json:"mqtt,omitempty"` // the first of them that speaks MQTT without TLS
	Admin     string   `json:"admin"`
	AdminCert string   `json:"admin_cert,omitempty"` // file of its certificate, where it speaks TLS
	GRPC      string   `json:"grpc,omitempty"`
	Health    string   `json:"health,omitempty"` // where probes are answered, without TLS
	PID       int      `json:"pid"`
}

// adminURL is where the admin API is.
func (a *addresses) adminURL() string {
	if a.AdminCert != "" {
		return "https://" + a.Admin
	}
	return "http://" + a.Admin
}

// healthURL is where probes are answered that have a listener of their own.
func (a *addresses) healthURL() string { return "http://" + a.Health }

// addressFile is where a node writes its addresses.
func addressFile(dataDir string) string { return filepath.Join(dataDir, "node.json") }

// write replaces the file at path, whole or not at all.
func (a addresses) write(path string) error {
	out, err := json.Marshal(a)
	if err != nil {
		return err
	}
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, append(out, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}
