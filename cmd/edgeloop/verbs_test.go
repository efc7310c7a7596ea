package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edgeloop/internal/testkit"
)

// TestVerbs: what the API does for an operator the tool does.
func TestVerbs(t *testing.T) {
	r := serve(t)
	testkit.Eventually(t, patience, "the node to tell what its log takes", func() bool {
		code, out, _ := tool("node", "--data-dir="+r.dir)
		return code == exitOK && strings.Contains(out, `"state": "running"`) && strings.Contains(out, `"usage"`)
	})
	for _, c := range []struct {
		args string
		code int
		say  []string
	}{
		{"limits", exitOK, []string{"window", "64", "while it runs", "with a restart"}},
		{"limits window=128 heartbeat=20s", exitOK, []string{"128", "changed, was 64", "20s"}},
		{"limits window=null", exitOK, []string{"64"}},
		{"limits window", exitUsage, []string{"NAME=VALUE"}},
		{"limits nothing=1", exitFail, []string{"nothing is not a limit"}},
		{"limits window=many", exitFail, []string{"window"}},
		{"ban --device=d1 --reason=stolen --for=1h", exitOK, nil},
		{"bans", exitOK, []string{"default", "d1", "stolen"}},
		{"bans --tenant=acme", exitOK, nil},
		{"unban --device=d1", exitOK, nil},
		{"unban --device=d1", exitFail, []string{"404"}},
		{"ban --device=d1 --for=-1h", exitUsage, []string{"--for"}},
		{"revoke --device=d1 --reason=stolen", exitOK, nil},
		{"revoke --jti=t1 --tenant=acme --for=1h", exitOK, nil},
		{"revoked", exitOK, []string{"default", "d1", "stolen", "acme", "t1"}},
		{"revoked --tenant=globex", exitOK, nil},
		{"revoke", exitUsage, []string{"--jti, --device, --tenant and --all"}},
		{"revoke --all --device=d1", exitUsage, []string{"--all"}},
		{"revoke --jti=t1 --before=2026-01-01T00:00:00Z", exitUsage, []string{"--jti"}},
		{"revoke --device=d1 --before=yesterday", exitUsage, []string{"--before=yesterday"}},
		{"revoke --device=d1 --for=-1h", exitUsage, []string{"--for"}},
		{"revoke --device=d1 --before=2999-01-01T00:00:00Z", exitFail, []string{"before"}},
		{"unrevoke nothing", exitFail, []string{"404"}},
		{"reload", exitOK, nil},
		{"drain --window=50ms", exitOK, []string{"drained: 0 of 0 devices"}},
	} {
		code, out, errs := tool(append(strings.Fields(c.args), "--data-dir="+r.dir)...)
		if code != c.code {
			t.Errorf("%s: exit code %d, %s%s", c.args, code, out, errs)
		}
		for _, word := range c.say {
			if !strings.Contains(out+errs, word) {
				t.Errorf("%s: it says %q, without %q", c.args, out+errs, word)
			}
		}
		if c.args == "bans --tenant=acme" && strings.Contains(out, "stolen") {
			t.Errorf("the bans of another tenant are listed: %s", out)
		}
	}
	r.stop(t, exitOK)
}

// TestActions_NoVariables: what a command does is on its command line. A variable that was
// left set, or a key of a file, makes of a command to one device none to all; where the
// node is may come from there.
func TestActions_NoVariables(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("EDGELOOP_DATA_DIR", dir)
	t.Setenv("EDGELOOP_ALL", "1")
	t.Setenv("EDGELOOP_DEVICE", "d1")
	t.Setenv("EDGELOOP_WINDOW", "many") // of serve, and here of drain
	if code, _, errs := tool("send", "reboot"); code != exitFail || !strings.Contains(errs, dir) {
		t.Errorf("the node's directory is not taken from the environment: exit code %d, %s", code, errs)
	}
	if err := os.WriteFile(filepath.Join(dir, "admin.token"), []byte("0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefused(t, []string{"send", "reboot"}, []string{"give one of --device, --group and --all"})
	if code, _, errs := tool("drain"); code != exitFail {
		t.Errorf("drain takes its window from the environment: exit code %d, %s", code, errs)
	}
	wantRefused(t, []string{"send", "reboot", "--config", put(t, "f.yaml", "all: true\n")}, []string{"give one of --device, --group and --all"})
	wantRefused(t, []string{"send", "reboot", "--config", put(t, "f.yaml", "group: lamps\n")}, []string{"no such key", "group"})
	if _, out, _ := tool("send", "--help"); strings.Contains(out, "EDGELOOP_ALL") || !strings.Contains(out, "EDGELOOP_DATA_DIR") {
		t.Errorf("the help names variables that are not read: %s", out)
	}
}

// TestRun_EmptyVariable: a variable without a value is none.
func TestRun_EmptyVariable(t *testing.T) {
	t.Setenv("EDGELOOP_WINDOW", "")
	t.Setenv("EDGELOOP_LISTEN", "")
	wantRefused(t, []string{"serve", "--lanes=-4"}, []string{"--lanes=-4"})
}

// TestToken_WrongDirectory: a token is signed with the secret of a node that has run, not
// with a new one of whatever directory this is.
func TestToken_WrongDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "nowhere")
	for _, who := range []string{"--device=d1", "--admin=a --scope=read"} {
		code, out, errs := tool(append([]string{"token", "--data-dir=" + dir}, strings.Fields(who)...)...)
		if _, err := os.Stat(dir); code != exitFail || out != "" || !strings.Contains(errs, "no node has run in "+dir) || !os.IsNotExist(err) {
			t.Errorf("%s: exit code %d, %q, %q, %v", who, code, out, errs, err)
		}
	}
	if code, out, errs := tool("token", "--data-dir="+dir, "--device=d1", "--new-secret"); code != exitOK || strings.Count(out, ".") != 2 {
		t.Errorf("before the first start: exit code %d, %q, %q", code, out, errs)
	}
	if code, out, errs := tool("token", "--data-dir="+dir, "--device=d1"); code != exitOK || strings.Count(out, ".") != 2 {
		t.Errorf("with a secret: exit code %d, %q, %q", code, out, errs)
	}
}
