package main

import (
	"cmp"
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
	// Starting is where a node listens that has not written it down.
	Starting string `kong:"-"`
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
	url, err := r.url()
	if err != nil {
		return nil, err
	}
	return &client.Client{URL: url, Token: token}, nil
}

// url is where the admin API of that node is.
func (r remote) url() (string, error) {
	url := r.AdminURL
	if url == "" {
		return r.find()
	}
	if u, err := neturl.Parse(url); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", usageError{fmt.Errorf("--admin-url=%s: give http://host:port", url)}
	}
	return url, nil
}

// explain says in one line what went wrong, and what to do where that is known.
func explain(err error) string {
	var problem *api.Problem
	var request *neturl.Error
	switch {
	case errors.As(err, &problem) && problem.Status == http.StatusUnauthorized:
		return "the node does not take this admin token: name the data directory of that node with --data-dir, or the file with --admin-token-file"
	case errors.As(err, &problem) && problem.ID != "":
		return fmt.Sprintf("%s (%d, command %s)", problem.Detail, problem.Status, problem.ID)
	case errors.As(err, &problem):
		return fmt.Sprintf("%s (%d)", strings.TrimPrefix(problem.Detail, "api: "), problem.Status)
	case errors.As(err, &request):
		at := request.URL
		if u, err := neturl.Parse(at); err == nil {
			at = u.Scheme + "://" + u.Host
		}
		return fmt.Sprintf("no node answers at %s: %v; is it running? name its data directory with --data-dir, or its address with --admin-url", at, request.Err)
	}
	return err.Error()
}

// find reads where the node listens from what it left in its data directory.
func (r remote) find() (string, error) {
	b, err := os.ReadFile(addressFile(r.DataDir))
	if errors.Is(err, fs.ErrNotExist) {
		return "http://" + cmp.Or(r.Starting, "127.0.0.1:9090"), nil
	}
	if err != nil {
		return "", err
	}
	var a addresses
	if err := json.Unmarshal(b, &a); err != nil {
		return "", fmt.Errorf("%s: %w", addressFile(r.DataDir), err)
	}
	return "http://" + a.Admin, nil
}

// addresses is what a node writes down for those who look for it.
type addresses struct {
	Listen    string   `json:"listen"` // the first of Listeners
	Listeners []string `json:"listeners"`
	TLS       string   `json:"tls,omitempty"`  // the first of them that speaks WebSocket by TLS
	MQTT      string   `json:"mqtt,omitempty"` // the first of them that speaks MQTT without TLS
	Admin     string   `json:"admin"`
	GRPC      string   `json:"grpc,omitempty"`
	PID       int      `json:"pid"`
}

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
