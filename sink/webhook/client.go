package webhook

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"syscall"
	"time"

	"edgeloop/internal/redact"
	"edgeloop/sink/keys"
)

// newClient makes the client of one receiver, and how its connections are given up.
func newClient(m *keys.Map, address string) (*http.Client, func()) {
	u, err := url.Parse(address)
	switch {
	case err != nil || address != "" && (u.Host == "" || u.Scheme != "http" && u.Scheme != "https"):
		m.Fail("url", "%s: give http://host:port/path or https://host/path", redact.URL(address))
		u = &url.URL{}
	case u.User != nil:
		m.Fail("url", "%s: a secret is not written into the configuration: give bearer_file, or leave user and password out", redact.URL(address))
	}
	g := guard{named: named(m, u.Hostname())}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: g.control}
	t := &http.Transport{
		DialContext:         dialer.DialContext,
		TLSClientConfig:     tlsConfig(m),
		TLSHandshakeTimeout: 10 * time.Second,
		ForceAttemptHTTP2:   true,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 1,
		IdleConnTimeout:     90 * time.Second,
		// No proxy: it would see to where addresses lead, and the guard would not.
	}
	return &http.Client{
		Transport:     t,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, t.CloseIdleConnections
}

func tlsConfig(m *keys.Map) *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	path := m.Text("ca_file", "")
	if path == "" {
		return c
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		m.Fail("ca_file", "%s: give a file of certificates in PEM", err)
		return c
	}
	c.RootCAs = x509.NewCertPool()
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		m.Fail("ca_file", "%s has no certificate: give a file of certificates in PEM", path)
	}
	return c
}

// named are the networks of private addresses that somebody has named: the address in the
// URL itself, localhost, and those under private.
func named(m *keys.Map, host string) (out []netip.Prefix) {
	if ip, err := netip.ParseAddr(host); err == nil {
		out = append(out, netip.PrefixFrom(ip.Unmap(), ip.Unmap().BitLen()))
	}
	if host == "localhost" {
		out = append(out, netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	}
	for _, text := range m.Texts("private") {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			m.Fail("private", "%q is no network: give one as in 10.0.0.0/8", text)
		}
		out = append(out, p)
	}
	return out
}

// guard keeps a name from leading where nobody meant it to: who can change what a name
// means must not reach services of the node's own network.
type guard struct{ named []netip.Prefix }

var errPrivate = errors.New("is a private address that nobody has named")

func (g *guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	ip := ap.Addr().Unmap().WithZone("")
	if translated.Contains(ip) {
		b := ip.As16()
		ip = netip.AddrFrom4([4]byte(b[12:]))
	}
	if ip.IsGlobalUnicast() && !ip.IsPrivate() && !shared.Contains(ip) {
		return nil
	}
	for _, p := range g.named {
		if p.Contains(ip) {
			return nil
		}
	}
	return fmt.Errorf("%s %w: name its network under private, as in %s/%d", ip, errPrivate, ip, ip.BitLen())
}

// shared is the address space between carriers and their customers [RFC6598].
var shared = netip.MustParsePrefix("100.64.0.0/10")

// translated are the addresses of IPv4 behind a translator, which has them in its last four
// bytes [RFC6052]: a name may lead to private ones by these, too.
var translated = netip.MustParsePrefix("64:ff9b::/96")

// shown is an error of the client, without the URL, which may hold a secret.
func shown(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		return u.Err
	}
	return err
}
