package backbone_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"edgeloop/backbone"
	"edgeloop/internal/testkit"
)

// write makes a file that only its owner reads.
func write(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// speaksTLS has the server of e show a certificate of ca, and ask for one of clients.
func (e *external) speaksTLS(ca, clients *testkit.Authority) {
	cert, key := ca.Issue("nats", nil)
	options := &server.TLSConfigOpts{CertFile: cert, KeyFile: key}
	if clients != nil {
		options.CaFile, options.Verify = clients.File, true
	}
	var err error
	if e.opts.TLSConfig, err = server.GenTLSConfig(options); err != nil {
		e.t.Fatal(err)
	}
}

// speaksJWT has the server of e know users by their JWTs, and returns a file of one's credentials.
func (e *external) speaksJWT() (creds string) {
	e.t.Helper()
	must := func(err error) {
		e.t.Helper()
		if err != nil {
			e.t.Fatal(err)
		}
	}
	pair := func(create func() (nkeys.KeyPair, error)) (nkeys.KeyPair, string) {
		k, err := create()
		must(err)
		public, err := k.PublicKey()
		must(err)
		return k, public
	}
	operator, operatorKey := pair(nkeys.CreateOperator)
	account, accountKey := pair(nkeys.CreateAccount)
	user, userKey := pair(nkeys.CreateUser)
	_, systemKey := pair(nkeys.CreateAccount)
	claims := jwt.NewAccountClaims(accountKey)
	claims.Limits.JetStreamLimits = jwt.JetStreamLimits{MemoryStorage: -1, DiskStorage: -1, Streams: -1, Consumer: -1}
	accountJWT, err := claims.Encode(operator)
	must(err)
	systemJWT, err := jwt.NewAccountClaims(systemKey).Encode(operator)
	must(err)
	userJWT, err := jwt.NewUserClaims(userKey).Encode(account)
	must(err)
	seed, err := user.Seed()
	must(err)
	text, err := jwt.FormatUserConfig(userJWT, seed)
	must(err)
	known := &server.MemAccResolver{}
	must(errors.Join(known.Store(accountKey, accountJWT), known.Store(systemKey, systemJWT)))
	e.opts.TrustedKeys, e.opts.AccountResolver, e.opts.SystemAccount = []string{operatorKey}, known, systemKey
	return write(e.t, "edge.creds", string(text))
}

// What a node shows to a server elsewhere, and by what it knows the server. A node that does not
// belong there waits, and is told the cause and what to look at.
func TestOpen_Access(t *testing.T) {
	ca, stranger := testkit.NewAuthority(t), testkit.NewAuthority(t)
	cert, key := ca.Issue("edge", nil)
	password := write(t, "password", "s3cret\n")
	wrong := write(t, "wrong", "t0psecret\n")
	asksPassword := func(e *external) { e.opts.Username, e.opts.Password = "edge", "s3cret" }
	for name, c := range map[string]struct {
		server func(e *external)
		access backbone.Access
		fails  string // part of what to check; "": it succeeds
	}{
		"TLS":                        {func(e *external) { e.speaksTLS(ca, nil) }, backbone.Access{CA: ca.File}, ""},
		"TLS of a stranger":          {func(e *external) { e.speaksTLS(stranger, nil) }, backbone.Access{CA: ca.File}, "no authority that this node trusts"},
		"no TLS, and asked for":      {func(*external) {}, backbone.Access{CA: ca.File}, "speaks no TLS"},
		"a certificate":              {func(e *external) { e.speaksTLS(ca, ca) }, backbone.Access{CA: ca.File, Cert: cert, Key: key}, ""},
		"no certificate":             {func(e *external) { e.speaksTLS(ca, ca) }, backbone.Access{CA: ca.File}, "refused the certificate of this node, or wants one"},
		"a certificate of strangers": {func(e *external) { e.speaksTLS(ca, stranger) }, backbone.Access{CA: ca.File, Cert: cert, Key: key}, "refused the certificate of this node"},
		"password":                   {asksPassword, backbone.Access{User: "edge", PasswordFile: password}, ""},
		"wrong password":             {asksPassword, backbone.Access{User: "edge", PasswordFile: wrong}, "check the credentials"},
		"no password":                {asksPassword, backbone.Access{}, "check the credentials"},
		"token":                      {func(e *external) { e.opts.Authorization = "s3cret" }, backbone.Access{TokenFile: password}, ""},
		"wrong token":                {func(e *external) { e.opts.Authorization = "s3cret" }, backbone.Access{TokenFile: wrong}, "check the credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			e := prepareExternal(t)
			c.server(e)
			e.begin()
			wantAccess(t, e, c.access, c.fails)
		})
	}
	t.Run("credentials", func(t *testing.T) {
		e := prepareExternal(t)
		creds := e.speaksJWT()
		e.begin()
		wantAccess(t, e, backbone.Access{Creds: creds}, "")
	})
	t.Run("credentials of strangers", func(t *testing.T) {
		e, other := prepareExternal(t), prepareExternal(t)
		e.speaksJWT()
		e.begin()
		wantAccess(t, e, backbone.Access{Creds: other.speaksJWT()}, "check the credentials")
	})
	t.Run("nobody is there", func(t *testing.T) {
		e := startExternal(t)
		e.stop()
		wantAccess(t, e, backbone.Access{}, "check that the server runs")
	})
}

func wantAccess(t *testing.T, e *external, access backbone.Access, fails string) {
	t.Helper()
	if err := access.Check(); err != nil {
		t.Fatalf("the files are good: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var told []string
	cfg := backbone.Config{NATSURL: e.url, NATSAccess: access, Node: "one", OnWait: func(err error) {
		// The server may also end an attempt before its reason has arrived.
		if told = append(told, err.Error()); strings.Contains(err.Error(), fails) {
			cancel()
		}
	}}
	b, err := backbone.Open(ctx, cfg)
	if fails == "" {
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Error(err)
		}
		return
	}
	if err == nil {
		_ = b.Close(t.Context())
		t.Fatal("it was let in")
	}
	if text := err.Error(); !strings.Contains(text, fails) {
		t.Errorf("said %q, want %q", told, fails)
	}
	if text := err.Error() + strings.Join(told, ""); strings.Contains(text, "s3cret") || strings.Contains(text, "t0psecret") {
		t.Errorf("a secret is in %q", text)
	}
}

// A password is put right, and one is replaced, while the node waits or runs: the file is
// read again, and no number of refusals is the last word.
func TestAccess_PasswordPutRight(t *testing.T) {
	e := prepareExternal(t)
	e.opts.Username, e.opts.Password = "edge", "first"
	e.begin()
	file := write(t, "password", "wrong")
	waits := make(chan error, 100)
	put := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	go func() {
		for range 4 {
			if err := <-waits; err == nil {
				t.Error("no cause")
			}
		}
		put("first")
	}()
	b := open(t, backbone.Config{
		NATSURL: e.url, NATSAccess: backbone.Access{User: "edge", PasswordFile: file}, Node: "one",
		OnWait: func(err error) { waits <- err },
	})
	e.stop()
	e.opts.Password = "second"
	e.start()
	testkit.Eventually(t, time.Minute, "every connection to be refused several times", func() bool {
		v, err := e.srv.Varz(nil)
		return err == nil && v.TotalConnections >= 20
	})
	if b.State().OK() {
		t.Error("the log is well without its server")
	}
	put("second")
	testkit.Eventually(t, time.Minute, "every connection to be back", func() bool {
		_, err := b.Last(t.Context(), "default", "d") // by another connection than the writer's
		return err == nil && b.State().OK()
	})
}

// Files that cannot be used are refused at the start, by their names, without a word of
// what they hold.
func TestAccess_Check(t *testing.T) {
	ca := testkit.NewAuthority(t)
	cert, key := ca.Issue("edge", nil)
	_, other := ca.Issue("other", nil)
	open := write(t, "open", "s3cret")
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	secret := write(t, "secret", "s3cret")
	for _, c := range []struct {
		access backbone.Access
		want   string
	}{
		{backbone.Access{Creds: "/nonexistent"}, "creds=/nonexistent: no such file"},
		{backbone.Access{Creds: secret}, "creds=" + secret + `: it has no line "-----BEGIN NATS USER JWT-----"`},
		{backbone.Access{TokenFile: open}, "token-file=" + open + ": it has mode 0644"},
		{backbone.Access{TokenFile: write(t, "empty", "\n")}, "it is empty"},
		{backbone.Access{User: "edge"}, "user=edge: it goes with a password"},
		{backbone.Access{User: "edge", PasswordFile: secret, TokenFile: secret}, "give one kind of credentials"},
		{backbone.Access{CA: secret}, "ca=" + secret + ": it has no certificate"},
		{backbone.Access{Cert: cert}, "a certificate goes with its key"},
		{backbone.Access{Cert: cert, Key: other}, "key=" + other + ": with the certificate " + cert},
		{backbone.Access{Cert: secret, Key: key}, "key=" + key + ": with the certificate " + secret},
	} {
		var wrong *backbone.AccessError
		if err := c.access.Check(); !errors.As(err, &wrong) || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%+v: %v, want %q", c.access, err, c.want)
		}
	}
}
