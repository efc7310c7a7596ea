package main

import (
	"slices"
	"strings"
)

// The rows of the TLS figures that others are held against, or goals are about.
const (
	tlsPlain = "plain"
	tlsOwn   = "own"
	tlsStd   = "std"
	tlsOld   = "own-1.2"
)

// mostBehindProxy is how many connections a proxy can pass on: it has two descriptors for
// each, and here a process may have 20,000.
const mostBehindProxy = 9000

// with is list and more, in memory of its own.
func with(list []string, more ...string) []string { return slices.Concat(list, more) }

// tlsServers lists what is compared over TLS. Version 1.3 unless the name says otherwise.
func tlsServers() []server {
	echo := []string{"bin/edgeloop", "echo", "--listen", "ADDR", "--control-listen", "CONTROL"}
	node := with(echo, "--tls-cert", "CERT", "--tls-key", "KEY")
	gws := []string{"bin/peers/gws", "-addr", "ADDR", "-control", "CONTROL", "-tls-cert", "CERT", "-tls-key", "KEY"}
	v13, v12 := []string{"--tls-version=1.3"}, []string{"--tls-version=1.2"}
	mutual := with(v13, "--tls-cert=DEVICECERT", "--tls-key=DEVICEKEY")
	return []server{
		{name: tlsPlain, own: true, what: "`edgeloop echo` without TLS", control: true, args: echo},
		{name: tlsOwn, own: true, secure: true, what: "`edgeloop echo`, `--tls-records=own`", control: true, args: with(node, "--tls-records=own"), client: v13},
		{name: tlsStd, own: true, secure: true, what: "`edgeloop echo`, `--tls-records=std`", control: true, args: with(node, "--tls-records=std"), client: v13},
		{name: "gws", secure: true, what: "lxzan/gws 1.8.9 and crypto/tls, goroutine each", control: true, args: gws, client: v13},
		{name: "nginx", secure: true, what: "nginx in front of `edgeloop echo`", control: true, args: echo, client: v13, front: "nginx", most: mostBehindProxy},
		{name: "haproxy", secure: true, what: "HAProxy in front of `edgeloop echo`", control: true, args: echo, client: v13, front: "haproxy", most: mostBehindProxy},
		{name: tlsOld, own: true, secure: true, what: "`edgeloop echo`, TLS 1.2", control: true, args: node, client: v12},
		{name: "gws-1.2", secure: true, what: "gws, TLS 1.2", control: true, args: gws, client: v12},
		{name: "own-mtls", own: true, secure: true, mutual: true, what: "`edgeloop echo`, client certificates", control: true, args: with(node, "--tls-client-ca", "AUTHORITY"), client: mutual},
		{name: "gws-mtls", secure: true, mutual: true, what: "gws, client certificates", control: true, args: with(gws, "-tls-client-ca", "AUTHORITY"), client: mutual},
	}
}

// tlsMeasures are what is measured of them. Memory is that of the first round alone: it is
// the same in each, and takes longest.
func tlsMeasures(d, few string) []measure {
	whole := func(s server) bool { return !s.mutual }
	secure := func(s server) bool { return s.secure && !s.mutual }
	modern := func(s server) bool { return secure(s) && !strings.HasSuffix(s.name, "1.2") && s.name != tlsStd }
	connect := []string{"connect", "--connect-in-flight=64", "--rounds=3"}
	const many = 1000
	return []measure{
		{name: "idle", args: []string{"idle", few, "--calm=10s", "--settle=5s", "--hold=0s"}, fits: whole, rounds: 1},
		{name: "echo-1", args: []string{"echo", "--in-flight=1", d}, fits: whole, connections: many},
		{name: "full", args: connect, fits: func(s server) bool { return s.name != tlsStd }, connections: many},
		{name: "classic", args: with(connect, "--tls-classic"), fits: modern, connections: many},
		{name: "resumed", args: with(connect, "--tls-resume", "--warmup=1"), fits: secure, connections: many},
	}
}
