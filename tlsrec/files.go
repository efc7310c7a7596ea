package tlsrec

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"edgeloop/internal/filemode"
)

// maxFile is the largest file that is read: a list of a million revoked certificates has
// 40 MB.
const maxFile = 64 << 20

var (
	errLarge  = errors.New("larger than 64 MiB")
	errNoCert = errors.New("no certificate in it: give a PEM file")
	// errGarbled says that a file was not written to its end, or changed by hand.
	errGarbled = errors.New("a block of it is cut off or garbled: give whole PEM files")
)

// FileError is about one file. It quotes nothing of it.
type FileError struct {
	File string
	Err  error
}

func (e *FileError) Error() string { return e.File + ": " + e.Err.Error() }

// Unwrap is what is wrong with the file.
func (e *FileError) Unwrap() error { return e.Err }

// material is what the files say.
type material struct {
	pairs       *pairs
	authorities authorities
	crls        *revoked
	tickets     [][ticketKeyLen]byte // nil without a file
}

func (c *Config) read() (m material, err error) {
	if m.pairs, err = loadPairs(c.pairs()); err != nil {
		return m, err
	}
	m.crls = &revoked{}
	if c.ClientAuth != ClientAuthNone {
		all, err := loadAuthorities(c.ClientCAFile)
		if err != nil {
			return m, err
		}
		m.authorities = trusting(all)
		if m.crls, err = loadRevoked(c.CRLFiles, all); err != nil {
			return m, err
		}
	}
	if c.TicketFile != "" {
		m.tickets, err = loadTicketKeys(c.TicketFile)
	}
	return m, err
}

// Stamp changes when one of the files does, or who may read it, or when another file has
// its name: two of one size may be written within the resolution of their times.
func (s *Server) Stamp() string {
	names := append([]string{s.cfg.ClientCAFile, s.cfg.TicketFile}, s.cfg.CRLFiles...)
	for _, p := range s.cfg.pairs() {
		names = append(names, p.CertFile, p.KeyFile)
	}
	return filemode.Stamp(names...)
}

// ReadStamp is what Stamp was before the files in force were read: as long as it is the
// same, they are what is in the files.
func (s *Server) ReadStamp() string { return *s.read.Load() }

// loadPair reads a certificate and its key. No error quotes either.
func loadPair(certFile, keyFile string) (tls.Certificate, error) {
	certPEM, err := readFile(certFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	keyPEM, err := readSecret(keyFile)
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

// loadAuthorities reads who signs the certificates of devices.
func loadAuthorities(name string) (all []*x509.Certificate, err error) {
	raw, err := readFile(name)
	if err != nil {
		return nil, err
	}
	certs, err := blocks(raw, "CERTIFICATE")
	if err != nil {
		return nil, &FileError{name, err}
	}
	for _, der := range certs {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, &FileError{name, err}
		}
		all = append(all, cert)
	}
	if len(all) == 0 {
		return nil, &FileError{name, errNoCert}
	}
	return all, nil
}

// blocks are those of a kind in PEM. pem.Decode goes on behind one that is cut off or
// garbled, as if it were not there: of a list of what is revoked that would let some in.
func blocks(raw []byte, kind string) (all [][]byte, err error) {
	for rest := raw; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == kind {
			all = append(all, block.Bytes)
		}
	}
	for _, line := range []string{"-----BEGIN " + kind + "-----", "-----END " + kind + "-----"} {
		if bytes.Count(raw, []byte(line)) != len(all) {
			return nil, errGarbled
		}
	}
	return all, nil
}

// readSecret reads a file whose group may read it at the most: as those who provide keys
// as files give a service access.
func readSecret(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, fileError(name, err)
	}
	if open := filemode.Open(info, 0o027); info.Mode().IsRegular() && open != 0 {
		mode := info.Mode().Perm()
		return nil, &FileError{name, fmt.Errorf("it has mode %04o, which gives others access: run \"chmod %04o %s\"", mode, mode&^open, name)}
	}
	return readFile(name)
}

// readFile reads a file that is not large, and that a person may have got wrong.
func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fileError(name, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, fileError(name, err)
	case len(b) > maxFile:
		return nil, &FileError{name, errLarge}
	}
	return b, nil
}

func fileError(name string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return &FileError{name, err}
}
