package main

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"edgeloop/backbone"
	"edgeloop/internal/redact"
)

// natsFlags are what servers of --nats-url ask for. Secrets come in files, because a
// command line is for everybody on the machine to read.
type natsFlags struct {
	NATSCreds        string `name:"nats-creds" default:"" type:"path" help:"Credentials for --nats-url: a file as 'nsc generate creds' writes it, that others cannot read."`
	NATSUser         string `name:"nats-user" default:"" help:"User for --nats-url, with --nats-password-file."`
	NATSPasswordFile string `name:"nats-password-file" default:"" type:"path" help:"Its password: a file that others cannot read."`
	NATSTokenFile    string `name:"nats-token-file" default:"" type:"path" help:"Token for --nats-url: a file that others cannot read."`
	NATSCA           string `name:"nats-ca" default:"" type:"path" help:"Authorities that sign the certificates of --nats-url: a PEM file. With it, or with tls:// in the URL, there is no connection without TLS. Default: those of the system."`
	NATSCert         string `name:"nats-cert" default:"" type:"path" help:"Certificate of this node for --nats-url, with its chain: a PEM file."`
	NATSKey          string `name:"nats-key" default:"" type:"path" help:"Key of --nats-cert: a PEM file that others cannot read."`
}

// access is what the flags say.
func (f *natsFlags) access() backbone.Access {
	return backbone.Access{
		Creds: f.NATSCreds, User: f.NATSUser, PasswordFile: f.NATSPasswordFile, TokenFile: f.NATSTokenFile,
		CA: f.NATSCA, Cert: f.NATSCert, Key: f.NATSKey,
	}
}

// checkURL checks where the servers are, without looking at a file.
func (f *natsFlags) checkURL(servers string) error {
	if servers == "" {
		if *f != (natsFlags{}) {
			return errors.New("--nats-creds, --nats-user, --nats-token-file, --nats-ca and --nats-cert are for the server of --nats-url: give that, too, or leave them out")
		}
		return nil
	}
	for one := range strings.SplitSeq(servers, ",") {
		u, err := url.Parse(strings.TrimSpace(one))
		if err != nil || u.Host == "" || (u.Scheme != "nats" && u.Scheme != "tls" && u.Scheme != "ws" && u.Scheme != "wss") {
			return fmt.Errorf("--nats-url=%s: give nats://host:port or tls://host:port, several separated by commas; escape what is special in a password", redact.URL(servers))
		}
		if u.User != nil && (f.NATSCreds != "" || f.NATSUser != "" || f.NATSTokenFile != "") {
			return fmt.Errorf("--nats-url=%s: give one kind of credentials: leave out the part before the @, or --nats-creds, --nats-user and --nats-token-file", redact.URL(servers))
		}
	}
	return nil
}

// checkFiles reads every file once.
func (f *natsFlags) checkFiles() error {
	var wrong *backbone.AccessError
	if err := f.access().Check(); errors.As(err, &wrong) {
		return fmt.Errorf("--nats-%s=%s: %w", wrong.Member, wrong.Path, wrong.Cause)
	}
	return nil
}

// name is what other nodes call this one.
func (n *node) name() string {
	if n.cfg.Node != "" {
		return n.cfg.Node
	}
	host, err := os.Hostname()
	if err != nil {
		return "edgeloop"
	}
	return host
}
