package peer

import (
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"net/http"
	"net/http/pprof"
	"os"
	"sync"
)

// Flags of every server.
type Flags struct {
	Addr      string
	Broadcast bool
	// Cert and Key, PEM files, are for TLS; ClientCA for certificates of clients. May be "".
	Cert, Key, ClientCA string
}

// Parse reads the flags and starts the pprof listener, where the fleet has the
// server collect its garbage before memory is read.
func Parse() Flags {
	var f Flags
	control := flag.String("control", "", "listen here for /debug/pprof")
	flag.StringVar(&f.Addr, "addr", "127.0.0.1:9001", "listen here for devices")
	flag.BoolVar(&f.Broadcast, "broadcast", false, "send text messages to all connections")
	flag.StringVar(&f.Cert, "tls-cert", "", "certificate: connections come by TLS")
	flag.StringVar(&f.Key, "tls-key", "", "its key")
	flag.StringVar(&f.ClientCA, "tls-client-ca", "", "who signs the certificates that connections have to have")
	flag.Parse()
	if *control != "" {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		go func() { Exit(http.ListenAndServe(*control, mux)) }()
	}
	return f
}

// Serve is the server's life, with net/http and crypto/tls as their documentation shows
// them. HTTP/2 is off: WebSocket needs the connection for itself.
func (f Flags) Serve(h http.Handler) error {
	if f.Cert == "" {
		return http.ListenAndServe(f.Addr, h)
	}
	s := &http.Server{
		Addr: f.Addr, Handler: h, TLSConfig: &tls.Config{},
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	if f.ClientCA != "" {
		pem, err := os.ReadFile(f.ClientCA)
		if err != nil {
			return err
		}
		s.TLSConfig.ClientAuth, s.TLSConfig.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		s.TLSConfig.ClientCAs.AppendCertsFromPEM(pem)
	}
	return s.ListenAndServeTLS(f.Cert, f.Key)
}

// Exit ends the process with the reason.
func Exit(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// Everybody is the list of connections; nil keeps none.
type Everybody[C comparable] struct {
	mu    sync.Mutex
	conns map[C]struct{}
}

// NewEverybody makes the list when on.
func NewEverybody[C comparable](on bool) *Everybody[C] {
	if !on {
		return nil
	}
	return &Everybody[C]{conns: make(map[C]struct{})}
}

// Add puts c on the list.
func (e *Everybody[C]) Add(c C) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.conns[c] = struct{}{}
}

// Remove takes c off the list.
func (e *Everybody[C]) Remove(c C) {
	if e == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.conns, c)
}

// Each calls send for all on the list; false when there is no list.
func (e *Everybody[C]) Each(send func(c C)) bool {
	if e == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.conns {
		send(c)
	}
	return true
}
