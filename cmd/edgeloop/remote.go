package main

import (
	"errors"
	"fmt"
	"net/http"
	neturl "net/url"
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

// nobody is the URL of a node that is not there; nothing is sent to it.
const nobody = "http://node.invalid"

// reach is where the admin API of that node is, and what speaks to it. Without an address there is
// no guess: a token would go to whoever listens there. What is wrong with a request by itself is
// said before.
func (r remote) reach() (url string, over *http.Client, err error) {
	if r.AdminURL == "" {
		return r.reachKnown()
	}
	if u, err := neturl.Parse(r.AdminURL); err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
		return "", nil, usageError{fmt.Errorf("--admin-url=%s: give http://host:port or https://host:port", r.AdminURL)}
	}
	if err := r.encrypted(r.AdminURL); err != nil {
		return "", nil, err
	}
	over, err = r.over("")
	return r.AdminURL, over, err
}

// reachKnown is reach for the node of the data directory.
func (r remote) reachKnown() (url string, over *http.Client, err error) {
	at, err := readAddresses(r.DataDir)
	var no *nowhere
	if errors.As(err, &no) {
		return nobody, &http.Client{Transport: &known{dataDir: r.DataDir}}, nil
	}
	if err != nil {
		return "", nil, err
	}
	url = at.adminURL()
	if err := r.encrypted(url); err != nil {
		return "", nil, err
	}
	if over, err = r.over(at.AdminCert); err != nil {
		return "", nil, err
	}
	over.Transport = &known{dataDir: r.DataDir, url: url, over: over.Transport}
	return url, over, nil
}

// explain says in one line what went wrong, and what to do where that is known.
func explain(err error) string {
	var problem *api.Problem
	var request *neturl.Error
	var no *nowhere
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
