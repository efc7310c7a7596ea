package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// patience is how long a story waits for anything that should come at once.
// It is long because a race build shares two cores with its clients; nothing
// ever waits for all of it when the node is right.
const patience = 2 * time.Minute

// nodeBinary is the node under test, built by TestMain.
var nodeBinary string

func TestMain(m *testing.M) {
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "edgeloop-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }() // in the system's temporary folder
	nodeBinary = filepath.Join(dir, "edgeloop")
	args := []string{"build", "-o", nodeBinary}
	if raceEnabled {
		args = append(args, "-race")
	}
	build := exec.Command("go", append(args, "edgeloop/cmd/edgeloop")...)
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build the node:", err)
		return 1
	}
	return m.Run()
}

// need skips the story when a client it speaks through is not installed, but
// fails it in CI, where a missing part must not pass for a success.
func need(t *testing.T, what string, installed bool) {
	t.Helper()
	switch {
	case installed:
	case os.Getenv("CI") != "":
		t.Fatalf("%s is missing: run scripts/setup-test.sh", what)
	default:
		t.Skipf("%s is missing: run make setup", what)
	}
}
