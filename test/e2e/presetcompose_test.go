package e2e_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// composeFile is what the compose files of examples use of the format.
type composeFile struct {
	Services map[string]struct {
		Build           struct{ Context, Dockerfile string }
		Image, Command  string
		Environment     map[string]string
		Ports, Volumes  []string
		StopGracePeriod string `yaml:"stop_grace_period"`
	}
	Volumes map[string]struct{}
}

// listens are the ports of the servers in compose files, by the names of their services.
var listens = map[string]string{"redis": "6379", "mosquitto": "1883", "db": "5432", "kafka": "9092"}

// leads finds where the configuration of a preset leads to.
var leads = regexp.MustCompile(`(?m)^\s+(?:url|address|brokers): (?:\w+://)?(?:\w+@)?(\w+):(\d+)`)

// The compose files of examples are not run, for want of images. But they can be read, each file
// and volume that they name is there, what they open is open to this machine alone, and the
// configurations beside them lead to servers that they start.
func TestPresets_Compose(t *testing.T) {
	t.Parallel()
	all, err := filepath.Glob("../../examples/*/compose.yaml")
	if err != nil || len(all) != len(listens) {
		t.Fatalf("%v, %v", all, err)
	}
	for _, path := range all {
		var c composeFile
		text, err := os.ReadFile(path)
		if err == nil {
			err = yaml.UnmarshalWithOptions(text, &c, yaml.Strict())
		}
		if err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		dir, mounted := filepath.Dir(path), map[string]bool{}
		for name, s := range c.Services {
			if s.Build.Dockerfile == "" && !strings.Contains(s.Image, ":") {
				t.Errorf("%s: %s has no image of a version", path, name)
			}
			for _, port := range s.Ports {
				if !strings.HasPrefix(port, "127.0.0.1:") {
					t.Errorf("%s: %s opens %s to others", path, name, port)
				}
			}
			for _, volume := range s.Volumes {
				from, to, _ := strings.Cut(volume, ":")
				mounted[strings.TrimSuffix(to, ":ro")] = true
				if _, declared := c.Volumes[from]; declared {
					continue
				}
				if _, err := os.Stat(filepath.Join(dir, from)); err != nil || !strings.HasPrefix(from, "./") {
					t.Errorf("%s: %s has %s, which is neither a volume nor a file here", path, name, volume)
				}
			}
		}
		node := c.Services["edgeloop"]
		if _, err := os.Stat(filepath.Join(dir, node.Build.Context, node.Build.Dockerfile)); err != nil || node.StopGracePeriod == "" {
			t.Errorf("%s: the node is built from what is not there, or has no time to stop: %v", path, err)
		}
		if config := node.Environment["EDGELOOP_CONFIG"]; !mounted[config] {
			t.Errorf("%s: the node's configuration %s is not mounted", path, config)
		}
		files, _ := filepath.Glob(filepath.Join(dir, "*.yaml")) // the pattern is good
		found := 0
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, to := range leads.FindAllStringSubmatch(string(text), -1) {
				found++
				if _, there := c.Services[to[1]]; !there || listens[to[1]] != to[2] {
					t.Errorf("%s leads to %s:%s, which %s does not start", file, to[1], to[2], path)
				}
			}
		}
		if found == 0 {
			t.Errorf("%s: nothing beside it leads to its server", path)
		}
	}
}
