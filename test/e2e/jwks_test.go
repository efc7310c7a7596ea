package e2e_test

import (
	"bufio"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"edgeloop/internal/testkit"
)

// signer is PyJWT, as an identity provider has it.
type signer struct {
	t   *testing.T
	in  io.Writer
	out *bufio.Scanner
}

func startSigner(t *testing.T) *signer {
	t.Helper()
	need(t, "python3-jwt", exec.Command(python, "-c", "import jwt, cryptography").Run() == nil)
	cmd := exec.Command(python, "py/signer.py")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	return &signer{t, in, bufio.NewScanner(out)}
}

func (s *signer) tell(order map[string]any) (answer map[string]any) {
	s.t.Helper()
	line, err := json.Marshal(order)
	if err != nil {
		s.t.Fatal(err)
	}
	fmt.Fprintf(s.in, "%s\n", line)
	if !s.out.Scan() || json.Unmarshal(s.out.Bytes(), &answer) != nil {
		s.t.Fatalf("the signer answers %q", s.out.Text())
	}
	return answer
}

// key makes a key and returns its public half.
func (s *signer) key(algorithm, kid string) map[string]any {
	s.t.Helper()
	return s.tell(map[string]any{"make": algorithm, "kid": kid})
}

// token is one for device, whose header has more as well.
func (s *signer) token(kid, device string, more map[string]any) string {
	s.t.Helper()
	token, _ := s.tell(map[string]any{"sign": kid, "claims": map[string]any{"sub": device}, "headers": more})["token"].(string)
	return token
}

// publisher is the server of a key set.
type publisher struct {
	*httptest.Server
	ca string // a file

	mu sync.Mutex

	// Guarded by mu.
	set   string
	down  bool
	asked int
}

func startPublisher(t *testing.T) *publisher {
	t.Helper()
	p := &publisher{ca: filepath.Join(t.TempDir(), "ca.pem")}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.asked++; p.down {
			http.Error(w, "out of order", http.StatusBadGateway)
			return
		}
		fmt.Fprint(w, p.set)
	}))
	p.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	p.StartTLS()
	t.Cleanup(p.Close)
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.Certificate().Raw})
	if err := os.WriteFile(p.ca, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *publisher) publish(t *testing.T, down bool, keys ...map[string]any) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.set, p.down = keySet(t, keys...), down
}

func (p *publisher) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

func keySet(t *testing.T, keys ...map[string]any) string {
	t.Helper()
	b, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// knockUntil knocks with one token until the answer has this status.
func (n *node) knockUntil(what, token string, status int) {
	n.t.Helper()
	testkit.Eventually(n.t, 2*patience, what, func() bool { return n.knock(token) == status }) // a provider is asked once a minute
}

// An identity provider replaces its keys under a running node: a device of either key comes
// in while that is published, and none after; who is connected notices nothing; an outage
// of the provider keeps the keys; a flood of made-up keys asks it no more than once.
func TestJWKS_Rotation(t *testing.T) {
	t.Parallel()
	id := startSigner(t)
	a, b := id.key("RS256", "a"), id.key("ES256", "b")
	p := startPublisher(t)
	p.publish(t, false, a)
	n := start(t, "--jwks-url", p.URL+"/certs", "--jwks-ca", p.ca)
	n.knockUntil("the first key to be known", id.token("a", "d1", nil), http.StatusSwitchingProtocols)
	stays := upgradeRaw(t, n, "", "Authorization: Bearer "+id.token("a", "stays", nil)+"\r\n")
	p.publish(t, false, a, b)
	if status := n.knock(id.token("b", "d2", nil)); status != http.StatusServiceUnavailable && status != http.StatusSwitchingProtocols {
		t.Errorf("a device with a token of a key that is not known yet got %d", status)
	}
	n.knockUntil("the second key to be fetched because a token names it", id.token("b", "d2", nil), http.StatusSwitchingProtocols)
	for _, header := range []map[string]any{{"kid": "x"}, {"kid": "../../etc/passwd"}, {"kid": "y", "jku": p.URL + "/mine"}} {
		if status := n.knock(id.token("b", "d2", header)); status != http.StatusUnauthorized {
			t.Errorf("header %v got %d", header, status)
		}
	}
	asked := p.count()
	for i := range 40 {
		n.knock(id.token("b", "d2", map[string]any{"kid": fmt.Sprint("made-up-", i)}))
	}
	if more := p.count() - asked; more > 1 {
		t.Errorf("40 tokens of made-up keys had the provider asked %d times", more)
	}
	p.publish(t, false, b)
	n.reload("read again")
	n.knockUntil("the first key to be gone", id.token("a", "d1", nil), http.StatusUnauthorized)
	p.publish(t, true)
	asked = p.count()
	n.reload("read again")
	testkit.Eventually(t, patience, "the provider to be asked in its outage", func() bool { return p.count() > asked })
	n.want("the outage to be a warning", "jwks_old")
	if status := n.knock(id.token("b", "d3", nil)); status != http.StatusSwitchingProtocols {
		t.Errorf("in an outage a device with a token of a known key got %d", status)
	}
	stays.Close()
	n.stop()
}

// want waits until /readyz says code.
func (n *node) want(what, code string) {
	n.t.Helper()
	testkit.Eventually(n.t, patience, what, func() bool {
		resp, err := http.Get("http://" + n.admin + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return strings.Contains(string(body), code)
	})
}

// A node starts while the provider is away, lets nobody in and tells them to come back;
// and a key set in a file counts beside it, as soon as it is changed.
func TestJWKS_FileAndNoAnswer(t *testing.T) {
	t.Parallel()
	id := startSigner(t)
	away, first, second := id.key("ES384", "away"), id.key("EdDSA", "first"), id.key("PS256", "second")
	p := startPublisher(t)
	p.publish(t, true)
	file := filepath.Join(t.TempDir(), "keys.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(keySet(t, first))
	n := start(t, "--jwks-url", p.URL+"/certs", "--jwks-ca", p.ca, "--jwks-file", file)
	n.want("missing keys to be a warning", "jwks_missing")
	for token, want := range map[string]int{
		id.token("away", "d1", nil): http.StatusServiceUnavailable, id.token("first", "d1", nil): http.StatusSwitchingProtocols, "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJkMSJ9.AAAA": http.StatusUnauthorized,
	} {
		if status := n.knock(token); status != want {
			t.Errorf("token %s got %d, want %d", token, status, want)
		}
	}
	write("{")
	testkit.Eventually(t, patience, "a broken file to be noticed", func() bool { return strings.Contains(n.log.String(), "cannot use the changed --jwks-file") })
	if status := n.knock(id.token("first", "d1", nil)); status != http.StatusSwitchingProtocols {
		t.Errorf("with a broken file a device got %d", status)
	}
	write(keySet(t, second))
	n.knockUntil("the key in the changed file to count", id.token("second", "d1", nil), http.StatusSwitchingProtocols)
	if status := n.knock(id.token("first", "d1", nil)); status == http.StatusSwitchingProtocols {
		t.Error("the key that was in the file before still counts")
	}
	p.publish(t, false, away)
	n.knockUntil("the provider to come back", id.token("away", "d1", nil), http.StatusSwitchingProtocols)
	n.stop()
}
