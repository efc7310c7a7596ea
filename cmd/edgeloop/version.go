package main

import (
	"cmp"
	"fmt"
	"runtime/debug"
)

// What a release is built with, by the linker (scripts/release.sh).
var (
	release = "" // its version; a build without one has the module's
	commit  = "" // the commit, where Go does not note it by itself
	// dataDir is the default of --data-dir. A package for a system that runs the node
	// as a service names the service's, so that the tools find it from anywhere.
	dataDir = "data"
)

// versionCmd prints what this binary is.
type versionCmd struct{}

// Run prints one line.
func (versionCmd) Run(io *streams) error {
	_, err := fmt.Fprintln(io.out, "edgeloop", version())
	return err
}

// version is the release or the module's version, the commit and the toolchain.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return cmp.Or(release, "unknown")
	}
	rev := commit
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			rev = s.Value
		}
	}
	v := cmp.Or(release, info.Main.Version)
	if rev != "" {
		v += " " + rev
	}
	return v + " " + info.GoVersion
}
