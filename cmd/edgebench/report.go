package main

import (
	"fmt"
	"os"

	"edgeloop/bench/report"
)

type reportCmd struct {
	Files []string `arg:"" help:"Results of edgebench and of bench/compare."`
	Out   string   `help:"The page to write." short:"o" default:"report.html"`
	PNG   string   `help:"Also write each plot as a PNG into this folder."`
}

// Run writes the page.
func (r *reportCmd) Run() error {
	in, err := report.Read(r.Files)
	for _, line := range in.Skipped {
		fmt.Fprintln(os.Stderr, "skipped", line)
	}
	if err != nil {
		return err
	}
	page, err := report.Page(in, r.PNG)
	if err != nil {
		return err
	}
	if err := os.WriteFile(r.Out, page, 0o644); err != nil {
		return err
	}
	fmt.Printf("%s: %d results, %d comparisons\n", r.Out, len(in.Results), len(in.Comparisons))
	return nil
}
