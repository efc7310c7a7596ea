package arch_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "edgeloop/"

// rule is what one package may import: packages of ours (internal/* is always
// allowed) and third-party modules. A module stands in one row only, so that
// it can be replaced in one place; the exceptions are in shared below.
type rule struct{ ours, vendor []string }

// below lists the rungs under gateway, which may stand on all of them but the
// framing: nobody outside eventloop reads or makes a frame.
var below = []string{"pool", "devicemgr", "envelope", "mqttproto", "auth", "eventloop", "backbone", "backbone/pace", "quota", "overload"}

// faultBelow lists the packages that run one node and its devices.
var faultBelow = []string{"bench/fault/history", "bench/fault/faults", "bench/fault/node", "bench/fault/crew", "bench/fault/attack", "bench/fault/tricks", "bench/fault/outlets"}

// ladder is the import policy. A key ending in /... covers the packages under
// that folder which have no row of their own.
var ladder = map[string]rule{
	"wsproto":    {vendor: []string{"github.com/gobwas/ws", "github.com/klauspost/compress/flate"}},
	"mqttproto":  {},
	"pool":       {vendor: []string{"github.com/panjf2000/ants/v2"}},
	"devicemgr":  {},
	"quota":      {},
	"overload":   {},
	"envelope":   {vendor: []string{"google.golang.org/protobuf", "github.com/go-json-experiment/json", "github.com/tidwall/gjson"}},
	"auth":       {vendor: []string{"github.com/golang-jwt/jwt/v5"}},
	"auth/jwks":  {},                                        // where keys are fetched from: docs/decisions/0062-keys-by-jwks.md
	"tlsrec":     {vendor: []string{"golang.org/x/crypto"}}, // ChaCha20-Poly1305: docs/decisions/0037-tls-in-the-loop.md
	"proxyproto": {},
	"doorman":    {vendor: []string{"github.com/gaissmai/bart"}},
	"eventloop":  {ours: []string{"wsproto", "mqttproto", "tlsrec", "proxyproto"}, vendor: []string{"github.com/panjf2000/gnet/v2"}},
	// The whole, for those above.
	"backbone":       {ours: []string{"backbone/names", "backbone/servers", "backbone/store", "backbone/uplog", "backbone/reader", "backbone/custody", "backbone/archive"}},
	"backbone/uplog": {ours: []string{"backbone/names", "backbone/servers", "backbone/reader", "backbone/custody", "backbone/blocks"}},
	// Where the servers are, and what is kept there beside the log.
	"backbone/servers": {ours: []string{"backbone/names", "backbone/blocks"}, vendor: []string{"github.com/nats-io/nats-server/v2", "github.com/nats-io/nats.go"}},
	"backbone/store":   {ours: []string{"backbone/names", "backbone/servers"}},
	"backbone/names":   {},
	"backbone/reader":  {ours: []string{"backbone/names", "backbone/servers", "backbone/store"}},
	// How fast who reads may catch up.
	"backbone/pace": {},
	// What is known of the store's files, and what should be in them.
	"backbone/custody": {ours: []string{"backbone/blocks"}},
	"backbone/blocks":  {vendor: []string{"github.com/minio/highwayhash"}},
	"backbone/archive": {vendor: []string{"github.com/klauspost/compress/s2", "github.com/nats-io/nats-server/v2/server/archive"}},
	// For tests: a backbone, and a server without one.
	"backbone/backbonetest": {ours: []string{"backbone", "internal/testkit"}, vendor: []string{"go.uber.org/goleak"}},
	"backbone/natstest":     {vendor: []string{"github.com/nats-io/nats-server/v2", "github.com/nats-io/nats.go"}},
	"gateway":               {ours: append([]string{"tlsrec", "doorman"}, below...)},
	"admin":                 {ours: []string{"admin/api", "admin/access", "overload"}, vendor: []string{"github.com/prometheus/client_golang"}},
	"admin/access":          {},
	// The same for programs: edgeloop.v1, generated, and what serves it.
	"api/...":       {vendor: []string{"google.golang.org/grpc", "google.golang.org/protobuf"}},
	"admin/grpcapi": {ours: []string{"admin", "admin/api", "admin/access", "api/...", "backbone/reader", "backbone/store", "overload"}, vendor: []string{"google.golang.org/grpc", "google.golang.org/genproto"}},
	// And for applications by MQTT: it stands between the loops and the gateway.
	"admin/mqttapi": {ours: []string{"admin/access", "backbone/reader", "backbone/store", "eventloop", "mqttproto", "retained"}},
	"admin/...":     {ours: []string{"admin", "admin/api"}},

	// What is retained of MQTT.
	"retained": {ours: []string{"backbone/reader", "backbone/store", "mqttproto"}},

	// Commands from elsewhere: the engine. Its sources are with the destinations of their kind.
	"intake": {ours: []string{"sink/keys"}},
	// Presence elsewhere, likewise.
	"presence": {ours: []string{"sink/keys"}},

	// The way out: the engine, and one package for each kind of destination.
	"sink":          {ours: []string{"backbone/reader", "backbone/store", "sink/keys"}},
	"sink/file":     {ours: []string{"sink", "sink/keys"}, vendor: []string{"github.com/klauspost/compress"}},
	"sink/kafka":    {ours: []string{"sink", "sink/keys"}, vendor: []string{"github.com/twmb/franz-go"}},
	"sink/keys":     {},
	"sink/mqtt":     {ours: []string{"sink", "sink/keys", "intake"}, vendor: []string{"github.com/eclipse/paho.golang"}},
	"sink/nats":     {ours: []string{"sink", "sink/keys"}},
	"sink/postgres": {ours: []string{"sink", "sink/keys"}, vendor: []string{"github.com/jackc/pgx/v5"}},
	"sink/redis":    {ours: []string{"sink", "sink/keys", "intake", "presence"}, vendor: []string{"github.com/redis/rueidis"}},
	"sink/...":      {ours: []string{"sink", "sink/keys"}},

	// Standard library and x/sys alone: docs/decisions/0010-a-package-for-the-doctor.md.
	"doctor": {vendor: []string{"golang.org/x/sys"}},

	"cmd/edgeloop": {
		ours:   append([]string{"auth/jwks", "gateway", "doctor", "doorman", "tlsrec", "admin", "admin/access", "admin/api", "admin/client", "admin/grpcapi", "admin/mqttapi", "sink", "sink/...", "intake", "presence", "retained"}, below...),
		vendor: []string{"github.com/alecthomas/kong", "github.com/goccy/go-yaml", "github.com/coreos/go-systemd/v22"},
	},

	// The bench speaks to a node from outside: a fault in our codec must not
	// cancel itself, so nothing of ours but the bench's own packages.
	"bench":     {ours: []string{"bench/..."}, vendor: benchVendor},
	"bench/...": {ours: []string{"bench", "bench/..."}, vendor: benchVendor},
	// It reads by gRPC as the programs of others do.
	"bench/sinks": {ours: []string{"bench", "bench/...", "client", "api/..."}},

	// What breaks nodes: each of these packages stands on those above it.
	"bench/fault/history":   {},
	"bench/fault/faults":    {},
	"bench/fault/node":      {ours: []string{"bench/fault/faults", "bench/fault/history"}, vendor: []string{"github.com/nats-io/nats.go"}}, // looks into the server that nodes share
	"bench/fault/kafka":     {vendor: []string{"github.com/twmb/franz-go"}},                                                                // a broker of it, and who reads there
	"bench/fault/outlets":   {ours: []string{"bench/fault/faults", "bench/fault/node", "bench/fault/kafka"}},
	"bench/fault/crew":      {ours: []string{"bench/fault/faults", "bench/fault/history"}, vendor: []string{"github.com/gobwas/ws"}},
	"bench/fault/tricks":    {vendor: []string{"golang.org/x/net"}}, // reads header blocks of HTTP/2
	"bench/fault/attack":    {ours: []string{"bench/fault/crew", "bench/fault/history", "bench/fault/tricks"}, vendor: []string{"github.com/gobwas/ws"}},
	"bench/fault/life":      {ours: faultBelow},
	"bench/fault/scenarios": {ours: append([]string{"bench/fault/life"}, faultBelow...), vendor: []string{"github.com/gobwas/ws"}},
	"bench/fault/soak":      {ours: append([]string{"bench/drift", "bench/probe", "bench/fault/scenarios", "bench/fault/life"}, faultBelow...), vendor: []string{"github.com/gobwas/ws"}},
	"bench/fault/mutants":   {},

	"cmd/edgebench": {ours: []string{"bench", "bench/..."}, vendor: benchVendor},
	"cmd/edgefault": {
		ours:   []string{"bench/fault/attack", "bench/fault/kafka", "bench/fault/life", "bench/fault/scenarios", "bench/fault/soak"},
		vendor: []string{"github.com/alecthomas/kong"},
	},

	// For the programs of others: they import this and the generated code.
	"client": {ours: []string{"api/..."}},

	// Outsiders, like the bench.
	"test/...":           {vendor: []string{"github.com/chromedp", "github.com/coder/websocket"}},
	"examples/hostagent": {vendor: []string{"github.com/coder/websocket"}},

	// Small programs that show one way through the lower packages.
	"examples/...": {ours: []string{"eventloop", "envelope", "devicemgr"}},

	"internal/...": {vendor: []string{"pgregory.net/rapid", "go.uber.org/goleak"}},
}

var benchVendor = []string{"github.com/gobwas/ws", "github.com/HdrHistogram/hdrhistogram-go", "gonum.org/v1/plot", "github.com/alecthomas/kong"}

// clients are vendor libraries that several packages speak to something by: nats.go to the
// servers of backbone/servers, and of sink/nats to those of others; grpc to the services of
// admin/grpcapi; protobuf, whose home is envelope, as messages of those.
var clients = []struct {
	module string
	users  []string
}{
	{"github.com/nats-io/nats.go", []string{"backbone/uplog", "backbone/store", "backbone/reader", "sink/nats"}},
	{"google.golang.org/grpc", []string{"client"}},
	{"google.golang.org/protobuf", []string{"admin/grpcapi"}},
}

func isClient(name, imp string) bool {
	for _, c := range clients {
		if covers(c.users, name) && under([]string{c.module}, imp) {
			return true
		}
	}
	return false
}

// shared may be imported wherever it is of use.
var shared = []string{"go.uber.org/zap", "golang.org/x/sys", "golang.org/x/time"}

// goPackage is the part of `go list -json` that the rules look at.
type goPackage struct {
	ImportPath string
	Imports    []string
}

// packages lists the module. Errors of single packages are left to the compiler.
func packages(t *testing.T) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports", module+"...")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.Bytes())
	}
	var list []goPackage
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
	if len(list) < 3 {
		t.Fatalf("go list found %d packages: not the whole module", len(list))
	}
	return list
}

// The imports of design section 2: data goes right by calls, and no package
// imports what stands right of it. A package without a row fails, so that
// whoever adds one decides where it stands.
func TestLadder_Imports(t *testing.T) {
	used := map[string]bool{}
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		key, r, ok := row(name)
		if !ok {
			t.Errorf("%s: not on the ladder; add a row and say why in docs/decisions", name)
			continue
		}
		used[key] = true
		for _, imp := range p.Imports {
			if why := forbidden(name, r, imp); why != "" {
				t.Errorf("%s imports %s: %s", name, imp, why)
			}
		}
	}
	for key := range ladder {
		if !used[key] {
			t.Errorf("the ladder has a row for %s, which does not exist", key)
		}
	}
}

// forbidden says why a package with rule r may not import imp; "" if it may.
func forbidden(name string, r rule, imp string) string {
	switch rel, isOurs := strings.CutPrefix(imp, module); {
	case isOurs && strings.HasPrefix(rel, "internal/"):
		return ""
	case isOurs:
		if !covers(r.ours, rel) {
			return "its row on the ladder does not allow that"
		}
	case !strings.Contains(strings.SplitN(imp, "/", 2)[0], "."):
		return "" // the standard library
	case isClient(name, imp):
		return ""
	case !under(r.vendor, imp) && !under(shared, imp):
		return "that dependency belongs to another package"
	}
	return ""
}

// Each vendor library has one home among the packages that make up the node; a package
// for tests, whose name ends in test, is not among them.
func TestLadder_OneHomePerVendor(t *testing.T) {
	homes := map[string]string{}
	for name, r := range ladder {
		if strings.HasSuffix(name, "...") || strings.HasPrefix(name, "bench") || strings.HasPrefix(name, "cmd/edgebench") || name == "cmd/edgefault" || strings.HasSuffix(name, "test") {
			continue
		}
		for _, v := range r.vendor {
			if other, taken := homes[v]; taken {
				t.Errorf("%s stands in the rows of %s and %s", v, name, other)
			}
			homes[v] = name
		}
	}
}

// row finds the rule for a package: its own, or that of the nearest folder.
func row(name string) (key string, r rule, ok bool) {
	if r, ok = ladder[name]; ok {
		return name, r, true
	}
	for dir := name; strings.Contains(dir, "/"); {
		dir = dir[:strings.LastIndex(dir, "/")]
		if r, ok = ladder[dir+"/..."]; ok {
			return dir + "/...", r, true
		}
	}
	return "", rule{}, false
}

// covers says whether pkg is listed, by name or by a folder ending in /... .
func covers(list []string, pkg string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		dir, isFolder := strings.CutSuffix(entry, "/...")
		return entry == pkg || isFolder && strings.HasPrefix(pkg, dir+"/")
	})
}

// under says whether imp is one of the modules in roots or inside one.
func under(roots []string, imp string) bool {
	return slices.ContainsFunc(roots, func(r string) bool { return imp == r || strings.HasPrefix(imp, r+"/") })
}
