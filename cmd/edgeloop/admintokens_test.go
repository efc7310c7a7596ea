package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin"
	"edgeloop/admin/access"
	"edgeloop/admin/api"
	"edgeloop/internal/testkit"
)

// status is what the node answers to somebody with a token who asks for the node, or
// for the devices of a tenant.
func (r *running) status(t *testing.T, token, tenant string) int {
	t.Helper()
	c, err := remote{DataDir: r.dir}.client()
	if err != nil {
		t.Fatal(err)
	}
	c.Token = token
	if tenant == "" {
		_, err = c.Node(t.Context())
	} else {
		_, err = c.Devices(t.Context(), api.DeviceQuery{Tenant: tenant, Limit: 1})
	}
	var problem *api.Problem
	switch {
	case errors.As(err, &problem):
		return problem.Status
	case err != nil:
		t.Fatal(err)
	}
	return http.StatusOK
}

// awaitStatus asks until the answer is the one wanted.
func (r *running) awaitStatus(t *testing.T, token string, want int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for got := 0; got != want; got = r.status(t, token, "") {
		select {
		case <-ctx.Done():
			t.Fatalf("waited too long for %d, it is %d: %s", want, got, r.errs)
		case <-tick.C:
		}
	}
}

// hangUp asks the node to read everything again, and waits until the log says how
// that went for the nth time.
func (r *running) hangUp(t *testing.T, outcome string, nth int) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for strings.Count(r.errs.String(), outcome) < nth {
		select {
		case <-ctx.Done():
			t.Fatalf("waited too long for %q: %s", outcome, r.errs)
		case <-tick.C:
		}
	}
}

// TestTokens_Life: a token is made, taken from the next reload on, does what its
// scopes allow for its tenant, and is void when its line is gone. A broken file
// changes nothing while the node runs.
func TestTokens_Life(t *testing.T) {
	r := serve(t)
	file := filepath.Join(r.dir, "admin.tokens")
	issue := func(args ...string) string {
		t.Helper()
		code, out, errs := tool(append([]string{"token", "--data-dir=" + r.dir}, args...)...)
		if code != exitOK || strings.Count(out, "\n") != 1 || !strings.Contains(errs, file) {
			t.Fatalf("exit code %d, %q, %q", code, out, errs)
		}
		return strings.TrimSpace(out)
	}
	reader := issue("--admin=reader", "--scope=read,metrics")
	bound := issue("--admin=bound", "--scope=read", "--scope=command", "--tenant=acme", "--ttl=0")
	r.hangUp(t, "were read again", 1)
	for _, c := range []struct {
		token, tenant string
		want          int
	}{
		{reader, "", http.StatusOK},
		{reader, "acme", http.StatusOK},
		{bound, "", http.StatusForbidden},
		{bound, "acme", http.StatusOK},
		{bound, "globex", http.StatusForbidden},
	} {
		testkit.Eventually(t, patience, fmt.Sprintf("%d in tenant %q", c.want, c.tenant), func() bool { // the node may have read the file before it had both
			return r.status(t, c.token, c.tenant) == c.want
		})
	}

	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), reader) {
		t.Fatalf("the file holds a token, or is not there: %v", err)
	}
	if err := os.WriteFile(file, append(text, "nonsense\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	r.hangUp(t, "nothing has changed", 1)
	if errs := r.errs.String(); !strings.Contains(errs, "line 3") {
		t.Errorf("the log does not say which line is broken: %s", errs)
	}
	if got := r.status(t, reader, ""); got != http.StatusOK {
		t.Errorf("with a broken file: %d", got)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	r.hangUp(t, "were read again", 2)
	r.awaitStatus(t, reader, http.StatusUnauthorized)
	r.stop(t, exitOK)
}

// TestTokens_ReadByThemselves: a tokens file that has changed is in force without a signal,
// tokens taken back as well as new ones. A broken one leaves those before in force, which
// the warnings of readiness and the series say, until it is mended.
func TestTokens_ReadByThemselves(t *testing.T) {
	dir := t.TempDir()
	cfg := &serveCmd{DataDir: dir}
	cfg.AdminListen = "127.0.0.1:0"
	n := &node{cfg: cfg, turn: make(chan struct{}, 1), log: &logging{Logger: zap.NewNop(), audit: zap.NewNop()}}
	adminCfg, err := n.adminConfig()
	if err != nil {
		t.Fatal(err)
	}
	if n.admin, err = admin.NewEarly(adminCfg, nil); err != nil {
		t.Fatal(err)
	}
	watches := n.fileWatches()
	file := adminTokensFile(dir)
	look := func() {
		for range 3 { // once changed, once settled
			for _, w := range watches {
				w.look(t.Context())
			}
		}
	}
	valid := func(token string) bool {
		h, err := n.admin.Roster().Find(token)
		return h != nil && err == nil
	}
	const first, second = "0123456789abcdef-first", "0123456789abcdef-second"
	for _, c := range []struct {
		name          string
		change        func() error
		first, second bool
		failed        uint64
	}{
		{"before", func() error { return nil }, false, false, 0},
		{"added", func() error {
			return addToken(file, &access.Principal{Name: "first", Hash: access.HashOf(first), Scopes: access.AllScopes})
		}, true, false, 0},
		{"broken", func() error { return os.WriteFile(file, []byte("nonsense\n"), 0o600) }, true, false, 1},
		{"gone", func() error { return os.Remove(file) }, false, false, 1},
		{"made anew", func() error {
			return addToken(file, &access.Principal{Name: "second", Hash: access.HashOf(second), Scopes: access.AllScopes})
		}, false, true, 1},
		{"open to all", func() error { return os.Chmod(file, 0o666) }, false, true, 2}, //nolint:gosec // that is the fault
		{"closed again", func() error { return os.Chmod(file, 0o600) }, false, true, 2},
	} {
		if err := c.change(); err != nil {
			t.Fatal(err)
		}
		look()
		failed, broken := n.tokens.reloads[reloadFailed].Load(), len(n.tokenWarnings()) > 0
		if valid(first) != c.first || valid(second) != c.second || failed != c.failed || broken != (c.name == "broken" || c.name == "open to all") {
			t.Errorf("%s: first %v, second %v, failed %d, %v", c.name, valid(first), valid(second), failed, n.tokenWarnings())
		}
	}
}

// TestTokens_Refused: what would make a file that the node refuses is not written,
// and a node does not start on such a file.
func TestTokens_Refused(t *testing.T) {
	dir := t.TempDir()
	data, file := "--data-dir="+dir, filepath.Join(dir, "admin.tokens")
	for _, c := range []struct{ args, say string }{
		{"", "--device"},
		{"--device=d1 --admin=a", "--device"},
		{"--device=d1 --scope=read", "--scope"},
		{"--admin=a", "metrics, read, command, admin"},
		{"--admin=a --scope=write", "metrics, read, command, admin"},
		{"--admin=a --scope=read --topic=x", "--topic"},
		{"--admin=a --scope=read --ttl=-1s", "--ttl"},
		{"--admin=a/b --scope=read", "line 1"},
		{"--admin=admin.token --scope=read", "another one"},
		{"--admin=a --scope=metrics --tenant=acme", "whole node"},
	} {
		if code, _, errs := tool(append([]string{"token", data}, strings.Fields(c.args)...)...); code != exitUsage || !strings.Contains(errs, c.say) {
			t.Errorf("%s: exit code %d, %q", c.args, code, errs)
		}
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a file was made")
	}
	start := func(flags ...string) (int, string) {
		code, _, errs := tool(append([]string{"serve", data, "--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0"}, flags...)...)
		return code, errs
	}
	for mode, content := range map[os.FileMode]string{0o600: "\n{}\n", 0o666: ""} {
		if err := errors.Join(os.WriteFile(file, []byte(content), 0o600), os.Chmod(file, mode)); err != nil {
			t.Fatal(err)
		}
		want := "line 2"
		if mode != 0o600 {
			want = "chmod go-w"
		}
		if code, errs := start(); code != exitUsage || !strings.Contains(errs, want) || !strings.Contains(errs, file) {
			t.Errorf("exit code %d, %q, want %q", code, errs, want)
		}
	}
	if code, errs := start("--admin-tokens-file=" + filepath.Join(dir, "none")); code != exitUsage || !strings.Contains(errs, "--admin-tokens-file") {
		t.Errorf("a file that is missing: exit code %d, %q", code, errs)
	}
}

// TestTokens_TakenBackWhileDrained: who may have the node drained cannot keep a token
// with it that is taken back.
func TestTokens_TakenBackWhileDrained(t *testing.T) {
	r := serve(t)
	code, out, errs := tool("token", "--admin=thief", "--scope=read,admin", "--data-dir="+r.dir)
	if code != exitOK {
		t.Fatal(errs)
	}
	token := strings.TrimSpace(out)
	const outcome = "were read again"
	r.hangUp(t, outcome, 1)
	c, err := remote{DataDir: r.dir}.client()
	if err != nil {
		t.Fatal(err)
	}
	c.Token = token
	if _, err := c.Drain(t.Context(), time.Second); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(r.dir, "admin.tokens")); err != nil {
		t.Fatal(err)
	}
	r.hangUp(t, outcome, 2)
	r.awaitStatus(t, token, http.StatusUnauthorized)
	r.stop(t, exitOK)
}

// TestTokens_EmptyTenant: --tenant="$TENANT" of a variable that is not set makes no
// token, least of all one that sees all tenants.
func TestTokens_EmptyTenant(t *testing.T) {
	for _, who := range []string{"--admin=ops", "--device=d"} {
		dir := t.TempDir()
		args := []string{"token", who, "--tenant=", "--data-dir=" + dir}
		if who == "--admin=ops" {
			args = append(args, "--scope=read")
		}
		code, out, errs := tool(args...)
		if code != exitUsage || out != "" || !strings.Contains(errs, "--tenant is empty") {
			t.Errorf("%s: exit code %d, %q, %q", who, code, out, errs)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: it left %v, %v", who, left, err)
		}
	}
}

// TestTokens_NoHalfLine: a disk that is full in the middle of a line leaves the file as
// it was. A process of its own, whose files may not grow, stands for the disk.
func TestTokens_NoHalfLine(t *testing.T) {
	const most, env = 1024, "EDGELOOP_TEST_TOKENS"
	if path := os.Getenv(env); path != "" {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			t.Fatal(err)
		}
		if err := addToken(path, &access.Principal{Name: "one", Scopes: access.AllScopes}); !errors.Is(err, syscall.EFBIG) {
			t.Errorf("it was added: %v", err)
		}
		return
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "admin.tokens")
	before := strings.Repeat("#", most-21) + "\n"
	if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	child := exec.CommandContext(t.Context(), self, "-test.run=^TestTokens_NoHalfLine$")
	child.Env = append(os.Environ(), env+"="+path)
	if out, err := child.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if after, err := os.ReadFile(path); err != nil || string(after) != before {
		t.Errorf("the file holds %s, %v", after, err)
	}
}

// TestTokens_AtTheSameTime: of several who add a token of one name only one does.
func TestTokens_AtTheSameTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.tokens")
	ended := make(chan error)
	const many = 16
	for i := range many {
		go func() {
			ended <- addToken(path, &access.Principal{Name: "one", Hash: access.Hash{byte(i)}, Scopes: access.AllScopes})
		}()
	}
	added := 0
	for range many {
		if <-ended == nil {
			added++
		}
	}
	text, err := readTokensText(path)
	if err != nil {
		t.Fatal(err)
	}
	if all, err := parseTokens(text); err != nil || added != 1 || len(all) != 1 {
		t.Errorf("%d were added, %d are there, %v", added, len(all), err)
	}
}
