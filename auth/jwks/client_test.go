package jwks_test

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"edgeloop/auth/jwks"
	"edgeloop/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

func TestCheckURL(t *testing.T) {
	for _, good := range []string{"https://id.example/certs?v=1", "http://127.0.0.1:8080/certs", "http://[::1]/c", "http://localhost/c", "https://10.0.0.1/c"} {
		if _, err := jwks.CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, bad := range []string{
		"", "id.example/certs", "http://id.example/certs", "http://127.0.0.1.example/", "http://localhost.example/", "ftp://id.example/", "file:///etc/passwd",
		"https://user:secret@id.example/", "https://id.example/#x", "https://", "https://:443/", "http://10.0.0.1/", "https://id.example/%zz", "http://2130706433/", "http://0/",
	} {
		if _, err := jwks.CheckURL(bad); err == nil {
			t.Errorf("%s is allowed", bad)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("the error quotes what may be a secret: %v", err)
		}
	}
}

// fetch fetches once, from a real server, and says how that ended.
func fetch(t *testing.T, cfg jwks.Config) (body string, err error) {
	t.Helper()
	cfg.MaxStale, cfg.Logger = time.Hour, zap.NewNop()
	if cfg.MaxBody == 0 {
		cfg.MaxBody = 1 << 10
	}
	cfg.Use = func(b []byte) (bool, []string, error) { body = string(b); return true, nil, nil }
	cfg.Drop = func() {}
	s, err := jwks.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx) }()
	<-s.First()
	cancel()
	<-ended
	return body, s.Stats().Err
}

// Over TLS, with a certificate that counts; and nowhere else than where it was told.
func TestSource_OverTheNetwork(t *testing.T) {
	inside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "inside") }))
	defer inside.Close()
	door := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/certs":
			fmt.Fprint(w, "keys")
		case "/moved":
			http.Redirect(w, r, "/certs", http.StatusFound)
		case "/inside":
			http.Redirect(w, r, inside.URL, http.StatusFound)
		case "/plain":
			http.Redirect(w, r, "http://"+r.Host+"/certs", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/long":
			fmt.Fprint(w, strings.Repeat("x", 2<<10))
		default:
			http.NotFound(w, r)
		}
	}))
	door.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	door.StartTLS()
	defer door.Close()
	trusted := x509.NewCertPool()
	trusted.AddCert(door.Certificate())
	for path, want := range map[string]string{"/certs": "keys", "/moved": "keys"} {
		if got, err := fetch(t, jwks.Config{URL: door.URL + path, RootCAs: trusted}); got != want || err != nil {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	for path, why := range map[string]string{
		"/inside": "another server", "/plain": "another server", "/round": "without end", "/long": "longer than", "/nothing?token=hush": "status 404",
	} {
		got, err := fetch(t, jwks.Config{URL: door.URL + path, RootCAs: trusted})
		if got != "" || err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	if got, err := fetch(t, jwks.Config{URL: door.URL + "/certs"}); got != "" || err == nil {
		t.Errorf("from a server with a certificate of nobody: %q, %v", got, err)
	}
}

// A name that stands for an address inside reaches nothing there, unless its network was
// named. localhost in capitals is such a name, and one that needs no server of names.
func TestSource_NamesOfPrivateAddresses(t *testing.T) {
	inside := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "keys") }))
	inside.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	inside.StartTLS()
	defer inside.Close()
	url := "https://LOCALHOST" + inside.URL[strings.LastIndexByte(inside.URL, ':'):]
	const inward = "no public address"
	if _, err := fetch(t, jwks.Config{URL: url}); err == nil || !strings.Contains(err.Error(), inward) {
		t.Errorf("a private address that was not named: %v", err)
	}
	// Its certificate is for another name: it was connected to.
	loopback := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	if _, err := fetch(t, jwks.Config{URL: url, Networks: loopback}); err == nil || strings.Contains(err.Error(), inward) {
		t.Errorf("a private address that was named: %v", err)
	}
}

func TestIsPublic(t *testing.T) {
	for _, text := range []string{
		"127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "0.1.2.3", "255.255.255.255", "224.0.0.1", "198.18.0.1", "240.0.0.1",
		"::", "::1", "fe80::1", "fd00::1", "ff02::1", "::127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1", "fec0::1", "192.0.0.1",
	} {
		if jwks.IsPublic(netip.MustParseAddr(text)) {
			t.Errorf("%s passes as public", text)
		}
	}
	for _, text := range []string{"1.1.1.1", "93.184.216.34", "2606:4700::1111", "172.32.0.1", "100.128.0.1"} {
		if !jwks.IsPublic(netip.MustParseAddr(text)) {
			t.Errorf("%s does not pass as public", text)
		}
	}
}
