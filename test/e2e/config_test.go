package e2e_test

import (
	"os"
	"path/filepath"
	"testing"
)

// The command line, the environment and the configuration file name the same
// things; the nearer one wins.
func TestConfig_Layers(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "edgeloop.yaml")
	if err := os.WriteFile(file, []byte("window: 7\nheartbeat: 11s\nmax-message: 1000\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := prepare(t, "--config", file, "--heartbeat=13s")
	n.env = []string{"EDGELOOP_WINDOW=9", "EDGELOOP_HEARTBEAT=12s"}
	n.boot()
	_, welcome := startClient(t, "python").connect(n, "d1")
	if welcome.num("window") != 9 {
		t.Errorf("window %d: the environment says 9, the file 7", welcome.num("window"))
	}
	if welcome.num("heartbeat_s") != 13 {
		t.Errorf("heartbeat %d: the command line says 13, the environment 12, the file 11", welcome.num("heartbeat_s"))
	}
	d := dialRaw(t, n, "d2")
	d.say(frame(fin|opBinary, string(make([]byte, 1001))))
	d.wantClose(1009) // only the file says how long a message may be
	n.stop()
}

// What cannot work is refused before anything is started, with exit code 2 and
// the name of the setting.
func TestConfig_Refused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unknownKey, noYAML := filepath.Join(dir, "unknown.yaml"), filepath.Join(dir, "no.yaml")
	for file, text := range map[string]string{unknownKey: "windw: 7\n", noYAML: "window: [\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]struct {
		env  string
		args []string
		say  []string
	}{
		"unknown flag":               {"", []string{"--windw=7"}, []string{"windw"}},
		"value of the wrong kind":    {"", []string{"--window=many"}, []string{"window"}},
		"value out of range":         {"", []string{"--window=0"}, []string{"window"}},
		"variable of the wrong kind": {"EDGELOOP_WINDOW=many", nil, []string{"window", "many"}},
		"unknown key in the file":    {"", []string{"--config", unknownKey}, []string{unknownKey, "windw"}},
		"file that is no YAML":       {"", []string{"--config", noYAML}, []string{noYAML}},
		"file that is not there":     {"", []string{"--config", dir + "/none.yaml"}, []string{"none.yaml"}},
		"unknown durability":         {"", []string{"--durability=maybe"}, []string{"durability", "power"}},
		"two that do not agree":      {"", []string{"--heartbeat=60s", "--idle-timeout=30s"}, []string{"heartbeat", "idle-timeout"}},
		"more than descriptors allow": {
			"", []string{"--max-connections=50000000"}, []string{"max-connections", "ulimit -n"},
		},
		"admin API in the open": {"", []string{"--admin-listen=0.0.0.0:0"}, []string{"admin-listen", "admin-remote"}},
	} {
		t.Run(name, func(t *testing.T) {
			n := prepare(t, c.args...)
			if c.env != "" {
				n.env = []string{c.env}
			}
			n.spawn()
			if code := n.wait(); code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			if !containsAll(n.log.String(), c.say...) {
				t.Errorf("it said %q, want it to name %q", n.log, c.say)
			}
			if _, err := os.Stat(n.dir); err == nil {
				t.Errorf("it made %s all the same", n.dir)
			}
		})
	}
}

// A port that is taken is a failure that names the address, not a hang.
func TestConfig_PortTaken(t *testing.T) {
	t.Parallel()
	first := start(t)
	for name, set := range map[string]func(*node){
		"listen":       func(n *node) { n.listen = first.listen },
		"admin-listen": func(n *node) { n.admin = first.admin },
	} {
		t.Run(name, func(t *testing.T) {
			n := prepare(t)
			set(n)
			n.spawn()
			if code := n.wait(); code != 1 {
				t.Errorf("exit code %d, want 1", code)
			}
			if !containsAll(n.log.String(), "address already in use") {
				t.Errorf("it said %q", n.log)
			}
		})
	}
	first.stop()
}

// Two nodes must not write one log.
func TestConfig_DataDirTaken(t *testing.T) {
	t.Parallel()
	first := start(t)
	second := prepare(t)
	second.dir = first.dir
	second.spawn()
	if code := second.wait(); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if !containsAll(second.log.String(), first.dir) {
		t.Errorf("it said %q, want it to name the directory", second.log)
	}
	d := dialRaw(t, first, "d1")
	d.say(frame(fin|opText, `{"type":"telemetry","seq":1,"data":0}`))
	d.wantText("ack")
	first.stop()
}

func TestConfig_Version(t *testing.T) {
	t.Parallel()
	out, _, code := runTool(t, "version")
	if code != 0 || !containsAll(out, "edgeloop") {
		t.Errorf("edgeloop version: exit code %d, %q", code, out)
	}
	if _, errs, code := runTool(t, "no-such-command"); code != 2 || !containsAll(errs, "no-such-command") {
		t.Errorf("an unknown command: exit code %d, %q", code, errs)
	}
}

// Secrets that the node makes are for its user alone.
func TestConfig_SecretsArePrivate(t *testing.T) {
	t.Parallel()
	n := start(t)
	for _, name := range []string{"admin.token", "device.secret"} {
		info, err := os.Stat(filepath.Join(n.dir, name))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v", name, info.Mode())
		}
	}
	n.stop()
}
