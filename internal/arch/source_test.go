package arch_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const maxLines = 400

// A file with one of these names has no subject.
var subjectless = []string{"util", "utils", "helper", "helpers", "common", "types", "misc", "base"}

// source is one parsed Go file of the module.
type source struct {
	path      string // relative to the root of the module
	text      []byte
	file      *ast.File
	fset      *token.FileSet
	generated bool
}

func (s *source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

func (s *source) line(n ast.Node) int { return s.fset.Position(n.Pos()).Line }

// root is the folder of go.mod, two up from this package.
func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "go.mod")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// sources parses every Go file under the root, whatever its build tags.
func sources(t *testing.T) []*source {
	t.Helper()
	top := root(t)
	var all []*source
	err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() == "testdata" || d.Name() != "." && strings.HasPrefix(d.Name(), ".")):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, text, parser.ParseComments)
		if err != nil {
			return err
		}
		all = append(all, &source{path: rel, text: text, file: file, fset: fset, generated: ast.IsGenerated(file)})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 10 {
		t.Fatalf("found %d Go files: not the whole module", len(all))
	}
	return all
}

func TestSource_Files(t *testing.T) {
	for _, s := range sources(t) {
		if n := bytes.Count(s.text, []byte("\n")); n > maxLines && !s.generated {
			t.Errorf("%s has %d lines, the ceiling is %d: split it by subject", s.path, n, maxLines)
		}
		stem := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(s.path), ".go"), "_test")
		if slices.Contains(subjectless, stem) {
			t.Errorf("%s: name the file for the one thing that is in it", s.path)
		}
		if slices.Contains(subjectless, strings.TrimSuffix(s.file.Name.Name, "_test")) {
			t.Errorf("%s: package %s says nothing about what it owns", s.path, s.file.Name.Name)
		}
	}
}

// init hides work from whoever reads main, and norace switches the detector
// off where it matters most.
func TestSource_NoInitNoNorace(t *testing.T) {
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" && !s.generated {
				t.Errorf("%s:%d: init function", s.path, s.line(f))
			}
		}
		for _, group := range s.file.Comments {
			for _, c := range group.List {
				if strings.HasPrefix(c.Text, "//go:norace") {
					t.Errorf("%s:%d: %s", s.path, s.line(c), c.Text)
				}
			}
		}
	}
}

// One package comment a package, in doc.go; a program may have it in main.go.
func TestSource_PackageComments(t *testing.T) {
	packages := map[string][]string{} // files with a package comment, by folder
	for _, s := range sources(t) {
		if strings.HasSuffix(s.file.Name.Name, "_test") || s.isTest() {
			if s.file.Doc != nil {
				t.Errorf("%s: a package comment in a test file", s.path)
			}
			continue
		}
		dir := filepath.Dir(s.path)
		if s.file.Doc != nil && !s.generated {
			packages[dir] = append(packages[dir], filepath.Base(s.path))
		} else if packages[dir] == nil {
			packages[dir] = []string{}
		}
	}
	for dir, files := range packages {
		if len(files) != 1 || files[0] != "doc.go" && files[0] != "main.go" {
			t.Errorf("%s: package comment in %v, want it in doc.go alone", dir, files)
		}
	}
}
