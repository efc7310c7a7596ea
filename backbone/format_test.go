package backbone_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

// A data directory that a newer version has written, in a format that this one does not know, is
// refused and stays as it is: the store would repair what it does not understand.
func TestFormat_NewerIsRefused(t *testing.T) {
	cfg := backbone.Config{DataDir: t.TempDir()}
	b := open(t, cfg)
	backbonetest.Append(t, b, []backbone.Record{record("d", 1, nil)})
	backbonetest.Close(t, b)
	path := filepath.Join(cfg.DataDir, "log.blocks.json")
	is, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	newer := strings.Replace(string(is), `"format":1`, `"format":2`, 1)
	if newer == string(is) {
		t.Fatalf("no format in %s", is)
	}
	if err := os.WriteFile(path, []byte(newer), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := backbone.Open(t.Context(), cfg); !errors.Is(err, backbone.ErrNewer) || !strings.Contains(err.Error(), "format 2") {
		t.Errorf("opened: %v", err)
	}
	if _, err := backbone.VerifyLog(cfg); !errors.Is(err, backbone.ErrNewer) {
		t.Errorf("verified: %v", err)
	}
	if left, err := os.ReadFile(path); err != nil || string(left) != newer {
		t.Errorf("it was changed: %s, %v", left, err)
	}
	if err := os.WriteFile(path, is, 0o600); err != nil {
		t.Fatal(err)
	}
	if lines := readAll(t, open(t, cfg), backbone.ReadOptions{}); len(lines) != 1 {
		t.Errorf("%d records are left", len(lines))
	}
}
