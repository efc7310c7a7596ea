package mutants_test

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// TestMutants_Apply: each patch of mutants still fits the code that it breaks.
// `make mutants` applies them one by one, which takes minutes.
func TestMutants_Apply(t *testing.T) {
	t.Parallel()
	patches, err := filepath.Glob("*.patch")
	if err != nil || len(patches) == 0 {
		t.Fatalf("no patches: %v", err)
	}
	for _, p := range patches {
		cmd := exec.Command("git", "apply", "--check", "-C1", "bench/fault/mutants/"+filepath.ToSlash(p))
		cmd.Dir = "../../.."
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", p, err, out)
		}
	}
}
