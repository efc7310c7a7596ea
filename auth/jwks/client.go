package jwks

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

const (
	fetchMost     = 10 * time.Second // one fetch, from the first packet to the last byte
	headerMost    = 64 << 10         // bytes of an answer's header
	redirectsMost = 3
)

// CheckURL sees whether keys may be fetched from text: https, or http where nothing leaves
// the machine, and no user or fragment.
func CheckURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("give the address of a JSON Web Key Set, as in https://id.example/certs") // url.Parse quotes it
	}
	switch {
	case u.Host == "" || u.Hostname() == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return nil, errors.New("give the address of a JSON Web Key Set, as in https://id.example/certs")
	case u.User != nil || u.Fragment != "":
		return nil, errors.New("give the address without user, password and fragment: keys are public")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return nil, errors.New("give an https address: whoever is on the way could put keys of his own in the place of those; http is for this machine alone")
	}
	return u, nil
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// client asks one server and no other.
func (s *Source) client() *http.Client {
	dialer := &net.Dialer{Timeout: fetchMost, Control: s.mayDial}
	return &http.Client{
		Timeout:       fetchMost,
		CheckRedirect: s.mayFollow,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: s.cfg.RootCAs},
			TLSHandshakeTimeout:    fetchMost,
			MaxResponseHeaderBytes: headerMost,
			DisableKeepAlives:      true, // there are minutes between two requests
			ForceAttemptHTTP2:      true,
		},
	}
}

// mayFollow keeps to the scheme, host and port that were given.
func (s *Source) mayFollow(to *http.Request, via []*http.Request) error {
	if to.URL.Scheme != s.url.Scheme || to.URL.Host != s.url.Host || to.URL.User != nil {
		return errors.New("it redirects to another server: give the address that it redirects to, if that is to be trusted")
	}
	if len(via) > redirectsMost {
		return errors.New("it redirects without end")
	}
	return nil
}

// mayDial is asked with the address that a name stood for, right before it is connected
// to: what the name stood for earlier does not matter.
func (s *Source) mayDial(_, address string, _ syscall.RawConn) error {
	there, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", address, err)
	}
	addr := there.Addr().Unmap().WithZone("")
	if s.url.Scheme == "http" && !addr.IsLoopback() {
		return fmt.Errorf("%s is %s, which is not this machine: give an https address", s.url.Hostname(), addr)
	}
	if isPublic(addr) || s.isNamed(addr) {
		return nil
	}
	return fmt.Errorf("%s is %s, which is no public address: give --jwks-networks with the network of the server, if it is meant", s.url.Hostname(), addr)
}

// isNamed reports whether the operator has named addr: in the URL, or as a network.
func (s *Source) isNamed(addr netip.Addr) bool {
	if literal, err := netip.ParseAddr(s.url.Hostname()); err == nil && literal.Unmap().WithZone("") == addr {
		return true
	}
	if s.url.Hostname() == "localhost" && addr.IsLoopback() {
		return true
	}
	for _, network := range s.cfg.Networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// special are networks that are not public and have no method of netip.Addr, or that
// stand for an IPv4 address inside. Never written.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("::/96"),
	netip.MustParsePrefix("64:ff9b::/32"), netip.MustParsePrefix("2001::/32"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

func isPublic(addr netip.Addr) bool {
	for _, network := range special {
		if network.Contains(addr) {
			return false
		}
	}
	return addr.IsGlobalUnicast() && !addr.IsPrivate()
}

// get fetches the set once.
func (s *Source) get(req *http.Request) (body []byte, goodFor time.Duration, err error) {
	answer, err := s.http.Do(req)
	if err != nil {
		var quoting *url.Error // with the whole address
		if errors.As(err, &quoting) {
			err = quoting.Err
		}
		return nil, 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("it answers with status %d", answer.StatusCode)
	}
	body, err = io.ReadAll(io.LimitReader(answer.Body, s.cfg.MaxBody+1))
	if err != nil {
		return nil, 0, err
	}
	if int64(len(body)) > s.cfg.MaxBody {
		return nil, 0, fmt.Errorf("its answer is longer than %d bytes", s.cfg.MaxBody)
	}
	return body, freshFor(answer.Header), nil
}
