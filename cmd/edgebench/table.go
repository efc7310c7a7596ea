package main

import (
	"fmt"

	"edgeloop/bench"
)

type tableCmd struct {
	Files []string `arg:"" help:"Results of edgebench capacity."`
}

// Run prints the table.
func (t *tableCmd) Run() error {
	results := make([]*bench.Result, len(t.Files))
	for i, path := range t.Files {
		r, err := bench.ReadResult(path)
		if err != nil {
			return err
		}
		results[i] = r
	}
	fmt.Print(bench.CapacityTable(results))
	return nil
}
