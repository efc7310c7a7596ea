package tlsrec

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"sync/atomic"
	"time"
)

// Config is what a Server needs to know.
type Config struct {
	// CertFile and KeyFile are PEM files: the certificate with its chain, leaf first, and
	// its key.
	CertFile, KeyFile string
	// Protocols are what may be agreed on by ALPN; default none is asked for.
	Protocols []string
	// OnPanic hears of a panic of a handshake; default nobody does. It must not block.
	OnPanic func(v any)
}

// A Server terminates TLS: it makes Sessions. Any goroutine.
type Server struct {
	// Immutable after construction.
	cfg Config

	// Atomic.
	config   atomic.Pointer[tls.Config]
	leaf     atomic.Pointer[x509.Certificate]
	outcomes [NumOutcomes]atomic.Uint64
}

// New reads the files. Its errors name the file that cannot be used, and why.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg}
	pair, err := loadPair(cfg.CertFile, cfg.KeyFile)
	if err != nil {
		return nil, err
	}
	s.leaf.Store(pair.Leaf)
	s.config.Store(&tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   cfg.Protocols,
		// One write of ours is one record, as long as it fits.
		DynamicRecordSizingDisabled: true,
	})
	return s, nil
}

// FileError is about one file.
type FileError struct {
	File string
	Err  error
}

func (e *FileError) Error() string { return e.File + ": " + e.Err.Error() }

// Unwrap is what is wrong with the file.
func (e *FileError) Unwrap() error { return e.Err }

// loadPair reads a certificate and its key. No error quotes either.
func loadPair(certFile, keyFile string) (tls.Certificate, error) {
	certPEM, err := readPEM(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyPEM, err := readPEM(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	clear(keyPEM)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s and %s do not go together: %w", certFile, keyFile, err)
	}
	return pair, nil
}

// Expires is when the certificate ends, and from when on it is good.
func (s *Server) Expires() (from, until time.Time) {
	leaf := s.leaf.Load()
	return leaf.NotBefore, leaf.NotAfter
}

// Outcomes is how many handshakes ended how.
func (s *Server) Outcomes() (all [NumOutcomes]uint64) {
	for i := range all {
		all[i] = s.outcomes[i].Load()
	}
	return all
}

func (s *Server) count(o Outcome) { s.outcomes[o].Add(1) }

func (s *Server) panicked(v any) {
	if s.cfg.OnPanic != nil {
		s.cfg.OnPanic(v)
	}
}

// readPEM reads a file that a person may have got wrong.
func readPEM(name string) ([]byte, error) {
	b, err := readSmall(name)
	var path *fs.PathError
	switch {
	case errors.As(err, &path):
		return nil, &FileError{name, path.Err}
	case err != nil:
		return nil, &FileError{name, err}
	}
	return b, nil
}
