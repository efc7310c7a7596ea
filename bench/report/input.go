package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"edgeloop/bench"
)

// Input is everything a page is made from.
type Input struct {
	Results     []Named
	Comparisons []Comparison
	// Skipped are the files that are neither, with why.
	Skipped []string
}

// Named is a result and the name of its file, without folder and ending.
type Named struct {
	Name string
	*bench.Result
}

// Comparison is a result of bench/compare.
type Comparison struct {
	Name    string
	Started string `json:"started"`
	Commit  string `json:"commit"`
	Runs    []struct {
		Server  string             `json:"server"`
		Measure string             `json:"measure"`
		Figures map[string]float64 `json:"figures"`
		Error   string             `json:"error"`
	} `json:"runs"`
}

// errNothing says that there is nothing to report.
var errNothing = errors.New("no result of edgebench or of bench/compare among these files")

// Read reads results of edgebench and of bench/compare. Other files, as lie beside them in
// a folder of results, are skipped; without any result it fails.
func Read(paths []string) (Input, error) {
	var in Input
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return in, err
		}
		var kind struct {
			Schema string          `json:"schema"`
			Runs   json.RawMessage `json:"runs"`
		}
		if err := json.Unmarshal(b, &kind); err != nil {
			in.Skipped = append(in.Skipped, fmt.Sprintf("%s: %v", path, err))
			continue
		}
		name := strings.TrimSuffix(filepath.Base(path), filepath.Ext(path))
		switch {
		case kind.Schema == bench.Schema:
			r, err := bench.ReadResult(path)
			if err != nil {
				return in, err
			}
			in.Results = append(in.Results, Named{name, r})
		case kind.Runs != nil:
			c := Comparison{Name: name}
			if err := json.Unmarshal(b, &c); err != nil {
				return in, fmt.Errorf("%s: %w", path, err)
			}
			in.Comparisons = append(in.Comparisons, c)
		default:
			in.Skipped = append(in.Skipped, path+": neither a result of edgebench nor of bench/compare")
		}
	}
	if len(in.Results)+len(in.Comparisons) == 0 {
		return in, errNothing
	}
	return in, nil
}

// capacity are the capacity runs, the smallest first.
func (in Input) capacity() []Named {
	var out []Named
	for _, r := range in.Results {
		if r.Scenario == "capacity" {
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Named) int {
		return int(a.Figures["connections"] - b.Figures["connections"])
	})
	return out
}

// servers lists the names in the order of the runs.
func (c Comparison) servers() []string {
	var names []string
	for _, r := range c.Runs {
		if !slices.Contains(names, r.Server) {
			names = append(names, r.Server)
		}
	}
	return names
}

// median of a figure over the rounds.
func (c Comparison) median(server, measure, figure string) (float64, bool) {
	var v []float64
	for _, r := range c.Runs {
		if f, ok := r.Figures[figure]; ok && r.Server == server && r.Measure == measure && r.Error == "" {
			v = append(v, f)
		}
	}
	if len(v) == 0 {
		return 0, false
	}
	slices.Sort(v)
	return v[len(v)/2], true
}
