package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tool runs the command line as a process would, without one.
func tool(args ...string) (code int, out, errs string) {
	var stdout, stderr bytes.Buffer
	code = run(args, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// put writes a file of a test's own directory.
func put(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRun_Refused: a setting that cannot work ends with exit code 2 before
// anything is started, and is named together with what would work.
func TestRun_Refused(t *testing.T) {
	for _, c := range []struct {
		args string // of serve, unless they begin with another command
		say  string // what has to be said, words separated by |
	}{
		{"--nope", "--nope"},
		{"--pool-size 0", "--pool-size=0|1 to"},
		{"--pool-size=-1", "--pool-size=-1|1 to"},
		{"--pool-size=many", "--pool-size|many"},
		{"--pool-size=99999999999999999999", "--pool-size"},
		{"--auth-pool-size=0", "--auth-pool-size=0|1 to"},
		{"--lanes 0", "--lanes=0|1 to"},
		{"--lanes=2000000", "--lanes=2000000|1048576"},
		{"--lane-depth=0", "--lane-depth=0|1 to"},
		{"--event-loops=-1", "--event-loops=-1|0 to 256"},
		{"--event-loops=257", "--event-loops=257|0 to 256"},
		{"--max-connections=-1", "--max-connections=-1"},
		{"--max-connections=500000000", "--max-connections|ulimit -n|LimitNOFILE"},
		{"--fd-limit=-1", "--fd-limit"},
		{"--fd-reserve=1", "--fd-reserve=1|64"},
		{"--max-message=0", "--max-message=0|128 to"},
		{"--max-message=5000000", "--max-message=5000000|4194304"},
		{"--inflight-bytes=-5", "--inflight-bytes=-5|524288"},
		{"--max-handshakes=0", "--max-handshakes=0|1 to"},
		{"--max-sequence-jump=0", "--max-sequence-jump=0|1 to 9007199254740991"},
		{"--window=0", "--window=0|1 to"},
		{"--window-bytes=0", "--window-bytes=0|1024 to"},
		{"--max-rate-bytes=-1", "--max-rate-bytes=-1|0 to"},
		{"--out-buffer=1", "--out-buffer=1|4096"},
		{"--max-remembered=0", "--max-remembered=0|1000"},
		{"--events=connected,gone", "--events=connected,gone|\"gone\"|disconnected, refused, banned"},
		{"--event-rate=0", "--event-rate=0|1 to"},
		{"--token-cache=-1", "--token-cache=-1|1 to"},
		{"--token-leeway=2h", "--token-leeway=2h|0s to 1h"},
		{"--allowed-origins=app.example", "--allowed-origins=app.example|https://"},
		{"--allowed-origins=https://a.example/", "--allowed-origins=https://a.example/|without a path"},
		{"--auth=none --token-audience=a", "--auth=none|--token-audience"},
		{"--token-issuer=", "--token-issuer= is empty|leave it out"},
		{"--token-audience=", "--token-audience= is empty|leave it out"},
		{"--tls-crl=", "--tls-crl= is empty|leave it out"},
		{"token --device=a --topic=", "--topic= is empty|leave it out"},
		{"--log-max-bytes=-1", "--log-max-bytes|-1|auto|none"},
		{"--log-max-bytes=10", "--log-max-bytes=10|16MiB|none"},
		{"--log-max-bytes=10G", "--log-max-bytes|10G|GiB|none"},
		{"--log-replicas=6", "--log-replicas=6|0 to 5"},
		{"--max-message=4K", "--max-message|4K|KiB"},
		{"log set --nats-url=nats://127.0.0.1:1", "--max-bytes|--replicas"},
		{"log set --nats-url=nats://127.0.0.1:1 --max-bytes=10", "--max-bytes=10|16MiB"},
		{"log set --max-bytes=10GiB", "--nats-url"},
		{"--heartbeat=30", "--heartbeat|30"},
		{"--tls-listen=127.0.0.1:0", "--tls-listen=127.0.0.1:0|--tls-cert|--tls-key"},
		{"--tls-cert=a.pem", "--tls-cert|--tls-listen"},
		{"--tls-listen=127.0.0.1:0 --tls-cert=a --tls-cert=b --tls-key=c", "--tls-cert is given 2 times|--tls-key 1 times|the same order"},
		{"--tls-listen=127.0.0.1:0 --tls-cert=a,a --tls-key=b,c", "/a is given twice"},
		{"--listen=none", "--listen=none|--tls-listen"},
		{"--mqtt-listen=nowhere", "--mqtt-listen=nowhere|host:port"},
		{"--mqtt-listen=127.0.0.1:1 --listen=127.0.0.1:1", "--mqtt-listen=127.0.0.1:1|twice"},
		{"--mqtt-tls-listen=127.0.0.1:0", "--mqtt-tls-listen=127.0.0.1:0|--tls-cert|--tls-key"},
		{"--tls-listen=127.0.0.1:99999 --tls-cert=a --tls-key=b", "--tls-listen=127.0.0.1:99999|host:port"},
		{"--tls-listen=127.0.0.1:1 --listen=127.0.0.1:1 --tls-cert=a --tls-key=b", "--tls-listen=127.0.0.1:1|twice"},
		{"--tls-listen=127.0.0.1:0 --tls-cert=/no/such --tls-key=/no/such", "--tls-cert|/no/such: no such file|the key of"},
		{"--auth=cert", "--auth=cert|--tls-client-auth"},
		{"--tls-listen=127.0.0.1:0 --tls-cert=a --tls-key=b --tls-client-auth=required", "--tls-client-auth=required|--tls-client-ca"},
		{"--tls-listen=127.0.0.1:0 --tls-cert=a --tls-key=b --tls-client-ca=c --tls-client-auth=required --auth=none", "--auth=none|--auth=cert"},
		{"--tls-listen=127.0.0.1:0 --tls-cert=a --tls-key=b --tls-crl=c", "--tls-crl|--tls-client-auth"},
		{"--tls-client-ca=c --tls-client-auth=optional", "--tls-client-auth|--tls-listen"},
		{"--tls-identity={san.uri.last} --tls-uri-prefix=spiffe://example.org", "--tls-uri-prefix|spiffe://example.org|SCHEME://HOST/"},
		{"--tls-uri-prefix=spiffe://example.org/", "--tls-uri-prefix|{san.uri.last}"},
		{"--tls-identity={serial}", "--tls-identity|{serial}|{cn}"},
		{"--tls-identity=pump", "--tls-identity=pump|{cn}"},
		{"--tls-tenant={cn", "--tls-tenant|{cn}"},
		{"--tls-min-version=1.1", "--tls-min-version|1.2|1.3"},
		{"--proxy-protocol=10.0.0.0/33", "--proxy-protocol=10.0.0.0/33|no network|10.0.0.0/8"},
		{"--trusted-proxies=10.0.0.1,lb", "--trusted-proxies=10.0.0.1,lb|lb is no network"},
		{"--trusted-proxies=10.0.0.1/8", "--trusted-proxies=10.0.0.1/8|give 10.0.0.0/8"},
		{"--tls-workers=-1", "--tls-workers=-1|0 to"},
		{"--heartbeat=1ms", "--heartbeat=1ms|100ms"},
		{"--heartbeat=-30s", "--heartbeat=-30s|100ms"},
		{"--idle-timeout=10s", "--idle-timeout=10s|--heartbeat=30s"},
		{"--handshake-timeout=0s", "--handshake-timeout=0s|100ms"},
		{"--drain-window=-1s", "--drain-window=-1s|50ms"},
		{"--retry-after=-5s", "--retry-after=-5s|1s"},
		{"--log-max-age=1ms", "--log-max-age=1ms|1m0s|none"},
		{"--log-max-age=7", "--log-max-age|7d|none"},
		{"--command-max-age=0s", "--command-max-age=0s|1s"},
		{"--log-level=inof", "--log-level|inof|debug|warn"},
		{"--log-format=xml", "--log-format|xml|json"},
		{"--auth=jtw", "--auth|jtw|none"},
		{"--auth=none --secret-file=x", "--auth=none|--secret-file"},
		{"--durability=maybe", "--durability|power|process"},
		{"--when-full=explode", "--when-full|stop"},
		{"--listen=127.0.0.1", "--listen=127.0.0.1|host:port"},
		{"--listen=127.0.0.1:99999", "--listen=127.0.0.1:99999|65535"},
		{"--listen=127.0.0.1:-1", "--listen=127.0.0.1:-1|65535"},
		{"--listen=", "--listen= is empty|leave it out"},
		{"--admin-listen=127.0.0.1:99999", "--admin-listen=127.0.0.1:99999|65535"},
		{"--admin-listen=0.0.0.0:0", "--admin-listen|--admin-remote"},
		{"--admin-listen=:0", "--admin-listen|--admin-remote"},
		{"--listen=127.0.0.1:7777 --admin-listen=127.0.0.1:7777", "--listen|--admin-listen|same"},
		{"--admin-hosts=http://node.example", "--admin-hosts=http://node.example|without scheme"},
		{"--admin-hosts=node.example,node.example:9090", "node.example:9090|without scheme, port"},
		{"--admin-hosts=*", "--admin-hosts=*|as in node.example"},
		{"--admin-hosts=127.0.0.1", "--admin-hosts=127.0.0.1|IP addresses and localhost need none"},
		{"--admin-hosts=", "--admin-hosts= is empty|leave it out"},
		{"--health-listen=9091", "--health-listen=9091|host:port"},
		{"--health-listen=127.0.0.1:99999", "--health-listen=127.0.0.1:99999|65535"},
		{"--listen=127.0.0.1:7777 --health-listen=127.0.0.1:7777", "--health-listen=127.0.0.1:7777|a port of its own"},
		{"--admin-listen=127.0.0.1:7777 --health-listen=127.0.0.1:7777", "--health-listen=127.0.0.1:7777|a port of its own"},
		{"--grpc-listen=127.0.0.1:7777 --health-listen=127.0.0.1:7777", "--health-listen=127.0.0.1:7777|a port of its own"},
		{"--node=a*b", "--node=a*b|letters"},
		{"--nats-url=localhost", "--nats-url=localhost|nats://host:port"},
		{"--nats-ca=/etc/hostname", "--nats-url|--nats-ca"},
		{"--nats-url=nats://127.0.0.1:1 --nats-creds=/nonexistent", "--nats-creds=/nonexistent|no such file"},
		{"--nats-url=nats://127.0.0.1:1 --nats-ca=/etc/hostname", "--nats-ca=/etc/hostname|no certificate|PEM"},
		{"--nats-url=nats://127.0.0.1:1 --nats-cert=/etc/hostname", "--nats-cert=/etc/hostname|its key"},
		{"--nats-url=nats://127.0.0.1:1 --nats-user=edge", "--nats-user=edge|password-file"},
		{"--nats-url=nats://127.0.0.1:1 --nats-token-file=/dev/null", "--nats-token-file=/dev/null|empty"},
		{"--nats-url=nats://edge:s3cret@127.0.0.1:1 --nats-token-file=/dev/null", "--nats-url=nats://…@127.0.0.1:1|give one kind of credentials|--nats-token-file"},
		{"log set --nats-url=nats://127.0.0.1:1 --max-age=1h --nats-creds=/nonexistent", "--nats-creds=/nonexistent|no such file"},
		{"--secret-file=/nonexistent", "--secret-file|/nonexistent"},
		{"--public-key-file=/nonexistent", "--public-key-file|/nonexistent"},
		{"--data-dir=/dev/null", "--data-dir=/dev/null|write"},
		{"--data-dir=/dev/null/below", "--data-dir=/dev/null/below|write"},
		{"--data-dir=/proc/none", "--data-dir=/proc/none|write"},
		{"token", "--device"},
		{"token --device=a*b", "device|letters"},
		{"token --device=a --ttl=-1s", "--ttl=-1s"},
		{"echo --listen=127.0.0.1:70000", "--listen=127.0.0.1:70000|65535"},
		{"echo --event-loops=300", "loops|256"},
		{"echo --max-message=-1", "MaxMessage|-1"},
		{"send", "<name>"},
		{"send ping", "--device|--group|--all"},
		{"send ping --device=a --all", "--device|--group|--all"},
		{"send ping {x --device=a", "{x|JSON"},
		{"send ping --device=a --wait=-1s", "--wait=-1s"},
		{"devices --online --offline", "--online|--offline"},
		{"devices --admin-url=foo", "--admin-url=foo|http://host:port"},
		{"tail --since=garbage", "--since=garbage|RFC 3339"},
		{"dance", "dance"},
		{"--listen=127.0.0.1:1 --listen=127.0.0.1:1", "--listen=127.0.0.1:1|twice"},
		{"", "serve"},
	} {
		t.Run(c.args, func(t *testing.T) {
			args := strings.Fields(c.args)
			dir := filepath.Join(t.TempDir(), "data")
			switch {
			case c.args == "": // the command itself is missing
			case strings.HasPrefix(c.args, "-"):
				args = append([]string{"serve", "--data-dir=" + dir}, args...)
			case args[0] == "send", args[0] == "devices", args[0] == "tail":
				args = append(args, "--admin-token-file="+put(t, "token", "0123456789abcdef0123456789"))
			}
			wantRefused(t, args, strings.Split(c.say, "|"))
			if _, err := os.Stat(filepath.Join(dir, "nats")); err == nil {
				t.Error("the log was started all the same")
			}
		})
	}
}

// TestRun_RefusedFile is the same for the configuration file and the
// environment.
func TestRun_RefusedFile(t *testing.T) {
	for _, c := range []struct{ text, say string }{
		{"windw: 7\n", "windw|window"},
		{"token-issuer: \"\"\n", "--token-issuer= is empty"},
		{"token-issuer: []\n", "--token-issuer= is empty"},
		{"window: 7\nwindow: 8\n", "window|already"},
		{"max-message: 500\nmax_message: 400\n", "max-message|twice"},
		{"window: many\n", "--window|many"},
		{"window: [7]\n", "window|one value"},
		{"window:\n", "window|one value"},
		{"window: 7.5\n", "--window|7.5"},
		{"heartbeat: 30\n", "--heartbeat|30"},
		{"compression: maybe\n", "--compression|maybe"},
		{"log-level: inof\n", "--log-level|inof"},
		{"lanes: -4\n", "--lanes=-4|1 to"},
		{"- window\n", "mapping"},
		{"sinks: 7\n", "sinks|list"},
		{"tenants: [acme]\n", "tenants|names of tenants"},
		{"tenants: {acme: 7}\n", "tenants.acme|keys of its own|max-connections"},
		{"tenants: {acme: {max-connections: -1}}\n", "tenants.acme.max_connections|0 to"},
		{"tenants: {\"*\": {bytes-per-second: fast}}\n", "tenants.*.bytes_per_second|fast"},
		{"tenants: {acme: {devices: 7}}\n", "tenants.acme.devices|no such key|groups"},
		{"tenants: {\"a b\": {}}\n", "tenant name|letters, digits|all others are \"*\""},
		{"sinks: [{name: lake}]\n", "sinks.lake.type|missing|file, kafka, mqtt, nats, postgres, redis, webhook"},
		{"sinks: [{name: lake, type: webhook, url: \"http://a/\", batch: {wait: 2}}]\n", "sinks.lake.batch.wait|units"},
		{"sinks: [{name: lake, type: file, dir: /tmp, password: x}]\n", "sinks.lake.password|no such key|min_free"},
		{"commands: 7\n", "commands|list"},
		{"presence: 7\n", "presence|list"},
		{"presence: [{name: who, type: redis}]\n", "presence.who.address|missing"},
		{"commands: [{name: broker}]\n", "commands.broker.type|missing|mqtt"},
		{"commands: [{name: broker, type: mqtt, url: \"mqtt://a\", topic: \"cmd/{name}\"}]\n", "commands.broker.topic|{device}"},
		{"window: [\n", "edgeloop.yaml"},
		{"\x00\x01", "edgeloop.yaml"},
		{"config: other.yaml\n", "config"},
	} {
		t.Run(c.text, func(t *testing.T) {
			wantRefused(t, []string{"serve", "--config", put(t, "edgeloop.yaml", c.text)}, strings.Split(c.say, "|"))
		})
	}
	t.Run("a file that is not there", func(t *testing.T) {
		wantRefused(t, []string{"serve", "--config=/nonexistent.yaml"}, []string{"--config", "/nonexistent.yaml"})
	})
	t.Run("a directory", func(t *testing.T) {
		wantRefused(t, []string{"serve", "--config=/proc"}, []string{"/proc", "directory"})
	})
	t.Run("a file that the environment names", func(t *testing.T) {
		t.Setenv("EDGELOOP_CONFIG", "/nonexistent.yaml")
		wantRefused(t, []string{"serve"}, []string{"--config", "/nonexistent.yaml"})
	})
	t.Run("a variable of the wrong kind", func(t *testing.T) {
		t.Setenv("EDGELOOP_WINDOW", "many")
		wantRefused(t, []string{"serve"}, []string{"window", "many"})
	})
	t.Run("a variable out of range", func(t *testing.T) {
		t.Setenv("EDGELOOP_LANES", "-1")
		wantRefused(t, []string{"serve"}, []string{"--lanes=-1"})
	})
}

// TestRun_Precedence: command line above environment above file above default.
// What counts is seen in the refusal of a value that is out of range.
func TestRun_Precedence(t *testing.T) {
	file := put(t, "edgeloop.yaml", "window: -1\n")
	wantRefused(t, []string{"serve", "--config", file}, []string{"--window=-1:"})
	t.Setenv("EDGELOOP_WINDOW", "-2")
	wantRefused(t, []string{"serve", "--config", file}, []string{"--window=-2:"})
	wantRefused(t, []string{"serve", "--config", file, "--window=-3"}, []string{"--window=-3:"})
	t.Setenv("EDGELOOP_WINDOW", "64")
	t.Setenv("EDGELOOP_LANES", "-4") // the file's window is not used, so this is what is left to refuse
	wantRefused(t, []string{"serve", "--config", file}, []string{"--lanes=-4:"})
}

// An empty file sets nothing.
func TestRun_EmptyFile(t *testing.T) {
	code, out, errs := tool("version", "--config", put(t, "empty.yaml", ""))
	if code != exitOK || !strings.HasPrefix(out, "edgeloop ") {
		t.Errorf("exit code %d, %q, %q", code, out, errs)
	}
}

func TestRun_Help(t *testing.T) {
	code, out, _ := tool("serve", "--help")
	if code != exitOK || !strings.Contains(out, "--pool-size=16") || !strings.Contains(out, "$EDGELOOP_POOL_SIZE") {
		t.Errorf("exit code %d, %q", code, out)
	}
}

func wantRefused(t *testing.T, args, say []string) {
	t.Helper()
	code, _, errs := tool(args...)
	if code != exitUsage {
		t.Errorf("exit code %d, want %d", code, exitUsage)
	}
	for _, word := range say {
		if !strings.Contains(errs, word) {
			t.Errorf("it says %q, without %q", errs, word)
		}
	}
}

// TestRefused_NoPasswords: the password of the log's server is in no error, whatever is
// wrong with the URL: errors go to logs, and with a reload to who asked for it.
func TestRefused_NoPasswords(t *testing.T) {
	for _, url := range []string{
		"nats://edge:s3cr/et@127.0.0.1:1", "nats://edge:s3cr#et@127.0.0.1:1", "nats://edge:s3cr%et@127.0.0.1:1",
		"http://edge:s3cret@127.0.0.1:1", "edge:s3cret@127.0.0.1:1", "nats://edge:s3cret@127.0.0.1:1",
	} {
		for _, command := range []string{
			"serve --listen=127.0.0.1:0 --admin-listen=127.0.0.1:0 --data-dir=" + t.TempDir(),
			"log set --patience=50ms --max-age=1h",
		} {
			if url == "nats://edge:s3cret@127.0.0.1:1" && strings.HasPrefix(command, "serve") {
				continue // it would go on trying
			}
			code, out, errs := tool(append(strings.Fields(command), "--nats-url="+url)...)
			if code == exitOK || strings.Contains(out+errs, "s3cr") {
				t.Errorf("%s: exit code %d, %s%s", url, code, out, errs)
			}
		}
	}
}

// TestRefused_NoLinesOfTheFile: what is wrong with the configuration file is said without
// the lines around it.
func TestRefused_NoLinesOfTheFile(t *testing.T) {
	for name, wrong := range map[string]string{
		"a quote is open":     "log-level: \"info\n",
		"a list is open":      "listen: [a\n",
		"a key is twice":      "log-level: info\nlog-level: warn\n",
		"a line is no key":    "log-level: info\nwhat\n",
		"a tab":               "\tlog-level: info\n",
		"no such anchor":      "node: *there\n",
		"the same line":       "node: a: b\n",
		"not even a mapping":  "- a\n",
		"an escape is broken": "node: \"\\q\"\n",
	} {
		path := filepath.Join(t.TempDir(), "node.yaml")
		if err := os.WriteFile(path, []byte("nats_url: nats://edge:s3cret@127.0.0.1:1\n"+wrong), 0o600); err != nil {
			t.Fatal(err)
		}
		code, _, errs := tool("--config="+path, "serve", "--data-dir="+t.TempDir(), "--listen=wrong")
		if code == exitOK || !strings.Contains(errs, path) || strings.Contains(errs, "s3cret") {
			t.Errorf("%s: exit code %d, %s", name, code, errs)
		}
	}
}
