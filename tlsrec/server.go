package tlsrec

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"edgeloop/internal/latency"
)

// Config is what a Server needs to know.
type Config struct {
	// CertFile and KeyFile are PEM files: the certificate with its chain, leaf first, and
	// its key.
	CertFile, KeyFile string
	// More are further pairs. A device that asks for a name by SNI gets a certificate that
	// has it, or one for all of its domain, and CertFile where none fits and where it does
	// not ask.
	More []Pair
	// MinVersion is the lowest version that is spoken; default TLS 1.2.
	MinVersion uint16
	// Protocols are what is spoken behind TLS, as ALPN names it, each at doors of its own
	// (NewSession).
	Protocols []string
	// ClientAuth says whether devices present certificates, ClientCAFile, in PEM, who
	// signs those, and CRLFiles, in PEM or DER, which of them are revoked.
	ClientAuth   ClientAuth
	ClientCAFile string
	CRLFiles     []string
	// Identify says who the certificate of a device stands for; an error ends the
	// handshake. It is called by workers, and must not block. Default nobody.
	Identify func(*x509.Certificate) (Identity, error)
	// TicketFile has the keys of session tickets, as WriteTicketKey writes them; the first
	// seals, all open. Default keys of this Server's own, which Rotate makes anew.
	TicketFile string
	// OwnRecords has connections of TLS 1.3 served by this package after the handshake,
	// and their tls.Conn let go.
	OwnRecords bool
	// OnPanic hears of a panic of a handshake; default nobody does. It must not block.
	OnPanic func(v any)
}

// ClientAuth is whether devices present certificates.
type ClientAuth uint8

// The ways. A certificate that is presented is always verified, by authorities.verify: what
// crypto/tls would do costs whatever its sender wants.
const (
	ClientAuthNone     = ClientAuth(tls.NoClientCert)
	ClientAuthOptional = ClientAuth(tls.RequestClientCert)
	ClientAuthRequired = ClientAuth(tls.RequireAnyClientCert)
)

// An Identity is who a certificate stands for, until when.
type Identity struct {
	Tenant, Device string
	Expires        time.Time
}

// A Server terminates TLS: it makes Sessions. Any goroutine.
type Server struct {
	// Immutable after construction.
	cfg   Config
	since time.Time // when it was made

	// Guarded by mu.
	mu      sync.Mutex // taken by who changes configs, which others only read
	tickets tickets

	// Atomic.
	configs  atomic.Pointer[map[string]*tls.Config] // by protocol, "" for none; the map is never written
	read     atomic.Pointer[string]                 // Stamp before the files in force were read
	trust    atomic.Pointer[authorities]
	pairs    atomic.Pointer[pairs]
	crls     atomic.Pointer[revoked]
	outcomes [NumOutcomes]atomic.Uint64
	took     latency.Histogram // of those that succeeded
}

// pairs are all pairs of files.
func (c *Config) pairs() []Pair {
	return append([]Pair{{c.CertFile, c.KeyFile}}, c.More...)
}

// New reads the files. Its errors name the file that cannot be used, and why.
func New(cfg Config) (*Server, error) {
	s := &Server{cfg: cfg, since: time.Now()}
	use, err := s.Load()
	if err != nil {
		return nil, err
	}
	use()
	return s, nil
}

// Load reads the files again; use puts all of them in force, for the handshakes that
// begin from then on. Without it, and after an error, everything stays as it is.
func (s *Server) Load() (use func(), err error) {
	stamp := s.Stamp() // before: a file that changes meanwhile has another one afterwards
	m, err := s.cfg.read()
	if err != nil {
		return nil, err
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		c := &tls.Config{
			MinVersion: max(s.cfg.MinVersion, tls.VersionTLS12),
			ClientAuth: tls.ClientAuthType(s.cfg.ClientAuth),
			ClientCAs:  m.authorities.pool, // only to be named to devices
			// Also of a resumed session: what is revoked stays out, with a ticket too.
			VerifyConnection: s.verify,
			// One write of ours is one record, as long as it fits.
			DynamicRecordSizingDisabled: true,
		}
		m.pairs.serve(c)
		if m.tickets != nil || s.tickets.keys == nil {
			s.tickets.take(m.tickets, time.Now())
		}
		c.SetSessionTicketKeys(s.tickets.keys)
		configs := map[string]*tls.Config{"": c}
		for _, protocol := range s.cfg.Protocols {
			own := c.Clone()
			own.NextProtos = []string{protocol}
			configs[protocol] = own
		}
		if s.cfg.OwnRecords {
			for _, c := range configs {
				telling(c)
			}
		}
		s.crls.Store(m.crls)
		s.trust.Store(&m.authorities)
		s.pairs.Store(m.pairs)
		s.read.Store(&stamp)
		s.configs.Store(&configs)
	}, nil
}

// verify decides whether the peer's certificate is good here.
func (s *Server) verify(st tls.ConnectionState) error {
	if len(st.PeerCertificates) == 0 {
		return nil
	}
	leaf := st.PeerCertificates[0]
	chains, err := s.trust.Load().verify(st.PeerCertificates)
	if err == nil {
		err = s.crls.Load().check(chains)
	}
	if err == nil {
		_, err = s.identify(leaf)
	}
	if err != nil { // who has no good one can write anything into it
		return fmt.Errorf("certificate of %.80q: %w", leaf.Subject.String(), err)
	}
	return nil
}

// identify says who a certificate stands for.
func (s *Server) identify(cert *x509.Certificate) (Identity, error) {
	if s.cfg.Identify == nil {
		return Identity{}, nil
	}
	id, err := s.cfg.Identify(cert)
	id.Expires = cert.NotAfter
	return id, err
}

// Terms are from when until when the certificates in force are good, in the order of the
// Config. Shared, never written.
func (s *Server) Terms() []Term { return s.pairs.Load().terms }

// Twice says of each name that several certificates in force have, in a way that only one
// of them is served for it, which they are. Shared, never written.
func (s *Server) Twice() []string { return s.pairs.Load().twice }

// ListsUntil is when the first of the lists of what is revoked is out of date; zero where
// there is none.
func (s *Server) ListsUntil() time.Time { return s.crls.Load().until }

// Took returns how long handshakes took that succeeded, from the peer's first byte on, its own
// answers included.
func (s *Server) Took() latency.Counts { return s.took.Read() }

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
