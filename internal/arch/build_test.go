package arch_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBuild_Commands: make build builds every program but the harness of the fault
// scenarios, which builds itself.
func TestBuild_Commands(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	_, recipe, _ := strings.Cut(string(makefile), "\nbuild:")
	recipe, _, _ = strings.Cut(recipe, "\n\n")
	commands, err := filepath.Glob("../../cmd/*/main.go")
	if err != nil || len(commands) == 0 {
		t.Fatalf("commands %q, %v", commands, err)
	}
	for _, path := range commands {
		name := filepath.Base(filepath.Dir(path))
		if name != "edgefault" && !strings.Contains(recipe, "go build -o bin/"+name+" ./cmd/"+name+"\n") {
			t.Errorf("make build does not build %s:%s", name, recipe)
		}
	}
}
