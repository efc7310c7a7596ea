// Licences lists the modules that a binary is built from, with the licences of each.
// It reads the binary's build information and the licence files in the module cache,
// and fails for a module whose licence it does not know.
//
//	licences bin/edgeloop          a table in Markdown (docs/licences.md)
//	licences -texts bin/edgeloop   the texts, as they have to go with a binary
package main

import (
	"debug/buildinfo"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// covered is how much of a licence file must be text of known licences, in percent;
// the rest are names and years.
const covered = 60

// files are what a module keeps its licence in, and what has to go with it.
var files = regexp.MustCompile(`(?i)^(licen[cs]e|copying|notice|patents)([.-].*)?$`)

// A module is one that the binary has code of.
type module struct {
	path, version string
	licences      []string
	texts         []string // by name of the file
}

func main() {
	texts := flag.Bool("texts", false, "print the texts of the licences instead of the table")
	flag.Parse()
	if err := run(flag.Arg(0), *texts, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "licences:", err)
		os.Exit(1)
	}
}

func run(binary string, texts bool, out io.Writer) error {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return err
	}
	all := []module{}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		all = append(all, module{path: dep.Path, version: dep.Version})
	}
	for i := range all {
		dir, err := moduleDir(all[i].path, all[i].version)
		if err == nil {
			err = all[i].read(dir)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", all[i].path, err)
		}
	}
	std := module{path: "Go standard library", version: "of the toolchain"}
	if err := std.read(runtime.GOROOT()); err != nil { //nolint:staticcheck // it runs by go run, beside its toolchain
		return err
	}
	all = append(all, std)
	if texts {
		return printTexts(all, out)
	}
	return printTable(all, out)
}

// moduleDir is where the module cache has a module.
func moduleDir(path, version string) (string, error) {
	out, err := exec.Command("go", "mod", "download", "-json", path+"@"+version).Output()
	if err != nil {
		return "", fmt.Errorf("go mod download: %w", err)
	}
	found := regexp.MustCompile(`"Dir": "([^"]+)"`).FindSubmatch(out)
	if found == nil {
		return "", fmt.Errorf("go mod download names no directory")
	}
	return string(found[1]), nil
}

// read takes in the licence files of a module.
func (m *module) read(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() || !files.MatchString(e.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		m.texts = append(m.texts, strings.TrimSpace(string(text)))
		if cover := licensecheck.Scan(text); cover.Percent >= covered {
			for _, match := range cover.Match {
				m.licences = append(m.licences, match.ID)
			}
		}
	}
	slices.Sort(m.licences)
	m.licences = slices.Compact(m.licences)
	if len(m.licences) == 0 {
		return fmt.Errorf("no licence that is known in %s", dir)
	}
	return nil
}

func printTable(all []module, out io.Writer) error {
	fmt.Fprint(out, "# Licences of what is inside\n\n",
		"edgeloop is under the [Apache License 2.0](../LICENSE). A binary has code of these\n",
		"modules; their texts go with every release, as `THIRD_PARTY_LICENSES`. `make licences`\n",
		"makes this page from the binary.\n\n| module | version | licence |\n|---|---|---|\n")
	for _, m := range all {
		fmt.Fprintf(out, "| %s | %s | %s |\n", m.path, m.version, strings.Join(m.licences, ", "))
	}
	return nil
}

func printTexts(all []module, out io.Writer) error {
	for _, m := range all {
		fmt.Fprintf(out, "%s\n%s %s\n%[1]s\n\n", strings.Repeat("=", 80), m.path, m.version)
		for _, text := range m.texts {
			fmt.Fprintf(out, "%s\n\n", text)
		}
	}
	return nil
}
