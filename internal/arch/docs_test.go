package arch_test

import (
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/testing.md says which test proves which promise. A test that was
// renamed or deleted must not go on being named there.
func TestDocs_TestsNamedExist(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root(t), "docs", "testing.md"))
	if err != nil {
		t.Fatal(err)
	}
	exist := map[string]bool{}
	for _, s := range sources(t) {
		for _, d := range s.file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && s.isTest() {
				exist[f.Name.Name] = true
			}
		}
	}
	names := regexp.MustCompile("`((?:Test|Fuzz|Benchmark|Example)[A-Za-z0-9_]+)`").FindAllStringSubmatch(string(page), -1)
	if len(names) == 0 {
		t.Fatal("docs/testing.md names no test at all")
	}
	for _, m := range names {
		if !exist[m[1]] {
			t.Errorf("docs/testing.md names %s, which does not exist", m[1])
		}
	}
}

// The tour and the table of where to put things lead to files: those must be there.
func TestDocs_FilesNamedExist(t *testing.T) {
	top := root(t)
	path := regexp.MustCompile("`([a-z][A-Za-z0-9_./-]*/[A-Za-z0-9_.-]+\\.(?:go|json|md|sh))`")
	for _, name := range []string{"architecture.md", "tour.md"} {
		text, err := os.ReadFile(filepath.Join(top, "docs", name))
		if err != nil {
			t.Fatal(err)
		}
		named := path.FindAllStringSubmatch(string(text), -1)
		if len(named) == 0 {
			t.Fatalf("docs/%s names no file at all", name)
		}
		for _, m := range named {
			if _, err := os.Stat(filepath.Join(top, filepath.FromSlash(m[1]))); err != nil {
				t.Errorf("docs/%s names %s, which does not exist", name, m[1])
			}
		}
	}
}

// Links between our pages must lead somewhere.
func TestDocs_LinksLeadSomewhere(t *testing.T) {
	top := root(t)
	pages, err := filepath.Glob(filepath.Join(top, "docs", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	decisions, err := filepath.Glob(filepath.Join(top, "docs", "decisions", "*.md"))
	if err != nil {
		t.Fatal(err)
	}
	pages = append(append(pages, decisions...), filepath.Join(top, "README.md"), filepath.Join(top, "CHANGELOG.md"))
	link := regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			target := filepath.Join(filepath.Dir(page), filepath.FromSlash(m[1]))
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s links to %s, which does not exist", strings.TrimPrefix(page, top+"/"), m[1])
			}
		}
	}
}
