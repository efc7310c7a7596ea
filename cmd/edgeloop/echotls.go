package main

import (
	"context"
	"errors"
	"fmt"

	"edgeloop/eventloop"
	"edgeloop/tlsrec"
)

// echoWaiting is how many records of handshakes may wait for a worker: more than the loop
// lets connections be undecided.
const echoWaiting = 1 << 12

// secure is what lies around the bytes of each connection; nil without --tls-cert.
func (e *echoCmd) secure() (greet func(*eventloop.Conn) eventloop.Greeting, stop func(), err error) {
	if (e.TLSCert == "") != (e.TLSKey == "") || (e.TLSCert == "" && e.TLSClientCA != "") {
		return nil, nil, errors.New("give --tls-cert and --tls-key together, and --tls-client-ca with them alone")
	}
	if e.TLSCert == "" {
		return nil, func() {}, nil
	}
	cfg := tlsrec.Config{CertFile: e.TLSCert, KeyFile: e.TLSKey, Protocols: []string{alpnHTTP}, OwnRecords: e.TLSRecords == "own"}
	if e.TLSClientCA != "" {
		cfg.ClientAuth, cfg.ClientCAFile = tlsrec.ClientAuthRequired, e.TLSClientCA
	}
	server, err := tlsrec.New(cfg)
	if err != nil {
		return nil, nil, fmt.Errorf("files of TLS: %w", err)
	}
	work, queue, err := tlsWorkers(0, echoWaiting)
	if err != nil {
		return nil, nil, err
	}
	return eventloop.TLS(server, alpnHTTP, queue.Post), func() { _ = work.Stop(context.Background()) }, nil
}
