package main

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"edgeloop/internal/truehost"
)

// adminFlags say where the admin API is, and who gets at it.
type adminFlags struct {
	AdminListen      string   `default:"127.0.0.1:9090" help:"Address of the admin API, metrics and health, host:port."`
	AdminTLSCert     string   `name:"admin-tls-cert" default:"" type:"path" placeholder:"FILE" help:"Certificate of --admin-listen with its chain, leaf first: a PEM file, read again when it changes. With it the admin API speaks TLS alone."`
	AdminTLSKey      string   `name:"admin-tls-key" default:"" type:"path" placeholder:"FILE" help:"Key of --admin-tls-cert: a PEM file that others cannot read."`
	AdminTLSClientCA string   `name:"admin-tls-client-ca" default:"" type:"path" placeholder:"FILE" help:"Authorities that sign the certificates of those who ask the admin API: a PEM file. A client without one gets no answer, and neither does a probe; tokens are required all the same."`
	AdminRemote      bool     `default:"false" help:"Allow --admin-listen without TLS on an address that others can reach; the admin token then crosses the network in the clear."`
	AdminTokensFile  string   `default:"" type:"path" help:"Further tokens of the admin API, one JSON object a line, as 'edgeloop token --admin' writes them; default DATA_DIR/admin.tokens, which need not exist."`
	AdminHosts       []string `placeholder:"NAME" help:"Names of this node, for the dashboard of an admin API without TLS; separated by commas. A request for another name without a token gets 421, because a site may point its own name at the node's address (DNS rebinding). IP addresses, localhost, /healthz and /readyz need none."`
	HealthListen     string   `name:"health-listen" default:"" placeholder:"ADDRESS" help:"Address for probes, host:port: /healthz and /readyz as the admin API has them, without TLS and without tokens, and nothing else; default none."`
}

// planAdmin checks the flags of the admin API without looking at a file. It is not shown
// to a network by accident.
func (s *serveCmd) planAdmin() error {
	switch {
	case (s.AdminTLSCert == "") != (s.AdminTLSKey == ""):
		return errors.New("--admin-tls-cert and --admin-tls-key go together: give both, PEM files of a certificate with its chain and of its key, or none")
	case s.AdminTLSCert == "" && s.AdminTLSClientCA != "":
		return errors.New("--admin-tls-client-ca is for --admin-tls-cert: without TLS nobody shows a certificate")
	}
	for _, name := range s.AdminHosts {
		if !isName(name) {
			return fmt.Errorf("--admin-hosts=%s: give names that the node has in URLs, separated by commas, as in node.example, without scheme, port and path; IP addresses and localhost need none", strings.Join(s.AdminHosts, ","))
		}
	}
	if err := checkListen("--admin-listen", s.AdminListen); err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(s.AdminListen)
	if i := slices.IndexFunc(s.doors(), func(d door) bool { return d.addr == s.AdminListen }); i >= 0 && port != "0" {
		return fmt.Errorf("%s=%s and --admin-listen=%s are the same: give each a port of its own", s.doors()[i].flag, s.AdminListen, s.AdminListen)
	}
	if s.AdminTLSCert != "" || s.AdminRemote || onlyHere(s.AdminListen) {
		return nil
	}
	return fmt.Errorf("--admin-listen=%s can be reached from outside, and the admin token would cross the network in the clear: give --admin-tls-cert and --admin-tls-key, or listen on 127.0.0.1 or [::1], or give --admin-remote if the network is trusted", s.AdminListen)
}

// isName says whether a text can be a name in the Host of a request, and is not an address.
func isName(text string) bool {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
	return text != "" && len(text) <= 253 && strings.Trim(text, letters) == "" && !truehost.Sure(text)
}

// onlyHere says whether nobody but this machine reaches the address.
func onlyHere(addr string) bool {
	host, _, _ := net.SplitHostPort(addr)
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// warnInTheClear says that admin tokens cross a network that others may be on.
func (n *node) warnInTheClear() {
	if n.cfg.AdminTLSCert == "" && !onlyHere(n.cfg.AdminListen) {
		n.log.Warn("the admin API is without TLS where others can reach it: its tokens cross the network in the clear: give --admin-tls-cert and --admin-tls-key, unless the network is trusted or something in front has TLS")
	}
	if n.cfg.GRPCListen != "" && n.cfg.GRPCCert == "" && !onlyHere(n.cfg.GRPCListen) {
		n.log.Warn("gRPC is without TLS where others can reach it: admin tokens cross the network in the clear: give --grpc-cert and --grpc-key, unless the network is trusted or something in front has TLS")
	}
}
