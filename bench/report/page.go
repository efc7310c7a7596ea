package report

import (
	"bytes"
	"cmp"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"slices"
)

// section is a heading with its plots and numbers.
type section struct {
	Title, About string
	Figures      []*figure
	Numbers      []number
	Bad          []string
}

// number is one headline figure.
type number struct{ Name, Value string }

// SVG is the plot as the page embeds it.
func (f *figure) SVG() (template.HTML, error) {
	text, err := f.svg()
	return template.HTML(text), err //nolint:gosec // our own plot
}

// Page makes the whole page. With pngDir the plots are also written there.
func Page(in Input, pngDir string) ([]byte, error) {
	sections, err := sections(in)
	if err != nil {
		return nil, err
	}
	if pngDir != "" {
		if err := writePNGs(sections, pngDir); err != nil {
			return nil, err
		}
	}
	t, err := template.New("page").Parse(page)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, sections)
	return b.Bytes(), err
}

func writePNGs(sections []section, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, s := range sections {
		for _, f := range s.Figures {
			b, err := f.png()
			if err != nil {
				return fmt.Errorf("%s: %w", f.ID, err)
			}
			if err := os.WriteFile(filepath.Join(dir, f.ID+".png"), b, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

func sections(in Input) ([]section, error) {
	var out []section
	for _, c := range in.Comparisons {
		figures, err := comparisonFigures(c)
		if err != nil {
			return nil, err
		}
		out = append(out, section{
			Title: "Side by side", About: fmt.Sprintf("%s, commit %s, from %s", c.Started, c.Commit, c.Name), Figures: drop(figures),
		})
	}
	if runs := in.capacity(); len(runs) > 1 {
		s, err := capacitySection(runs)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	if len(in.Results) > 1 {
		f, err := costBars(in.Results)
		if err != nil {
			return nil, err
		}
		if f != nil {
			out = append(out, section{Title: "Cost", About: "All results on this page, side by side.", Figures: []*figure{f}})
		}
	}
	for _, r := range in.Results {
		s, err := resultSection(r)
		if err != nil {
			return nil, err
		}
		out = append(out, s)
	}
	return out, nil
}

func capacitySection(runs []Named) (section, error) {
	s := section{Title: "Capacity", About: "The same node with more and more devices. Flat curves mean that a device costs the same, however many there are."}
	memory, err := curves(runs, "capacity-memory", "Memory of one device", "Marginal, after a forced collection.", "bytes", map[string]string{
		"RSS": "rss_bytes_per_connection", "heap": "heap_bytes_per_connection", "kernel slab, one end": "kernel_bytes_per_socket",
	}, []string{"RSS", "heap", "kernel slab, one end"})
	if err != nil {
		return s, err
	}
	cpu, err := curves(runs, "capacity-cpu", "CPU of the server", "In an emulated guest these are the emulation's, and only their shape means something.", "microseconds", map[string]string{
		"a connect": "cpu_us_per_connect", "a telemetry message": "cpu_us_per_message", "a broadcast delivery": "cpu_us_per_delivery",
	}, []string{"a connect", "a telemetry message", "a broadcast delivery"})
	if err != nil {
		return s, err
	}
	s.Figures = drop([]*figure{memory, cpu})
	return s, nil
}

func resultSection(r Named) (section, error) {
	s := section{
		Title: r.Scenario + ": " + r.Name,
		About: fmt.Sprintf("%s. %s, %d cores, Linux %s. %.0f s.", r.Started.Format("2 January 2006 15:04 MST"),
			cmp.Or(r.Machine.CPU, "unknown CPU"), r.Machine.Cores, r.Machine.Kernel, r.TookS),
	}
	if r.Machine.Emulated {
		s.Bad = append(s.Bad, "In emulation: counts and memory hold, CPU times and latencies are not the hardware's.")
	}
	if r.Unsound > 0 {
		s.Bad = append(s.Bad, fmt.Sprintf("%d messages were lost, doubled, reordered, corrupted or forgotten.", r.Unsound))
	}
	if r.Error != "" {
		s.Bad = append(s.Bad, r.Error)
	}
	for _, t := range r.Thresholds {
		if !t.OK {
			s.Bad = append(s.Bad, fmt.Sprintf("Required %s, got %s. %s", t.Expr, trim(t.Got), t.Reason))
		}
	}
	s.Bad = append(s.Bad, r.Warnings...)
	for _, draw := range []func(Named) (*figure, error){connections, memory, latency} {
		f, err := draw(r)
		if err != nil {
			return s, err
		}
		s.Figures = append(s.Figures, f)
	}
	s.Figures = drop(s.Figures)
	for name, v := range r.Figures {
		s.Numbers = append(s.Numbers, number{name, trim(v)})
	}
	slices.SortFunc(s.Numbers, func(a, b number) int { return cmp.Compare(a.Name, b.Name) })
	return s, nil
}

func drop(figures []*figure) []*figure {
	return slices.DeleteFunc(figures, func(f *figure) bool { return f == nil })
}

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>edgeloop: measured</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff; max-width: 54rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.25rem; margin-top: 3rem; border-top: 1px solid #ddd; padding-top: 1.5rem }
h3 { font-size: 1rem; margin: 1.5rem 0 .25rem } p { margin: .25rem 0 .75rem } .about, .note { color: #666; font-size: .9rem }
.bad { color: #a33000 } svg { max-width: 100%; height: auto }
table { border-collapse: collapse; font-size: .85rem } td { padding: .1rem 1rem .1rem 0 } td + td { text-align: right; font-variant-numeric: tabular-nums }
</style>
<h1>edgeloop: measured</h1>
{{range .}}
<h2>{{.Title}}</h2>
<p class="about">{{.About}}</p>
{{range .Bad}}<p class="bad">{{.}}</p>
{{end}}{{range .Figures}}
<h3>{{.Title}}</h3>
{{.SVG}}
<p class="note">{{.Note}}</p>
{{end}}{{if .Numbers}}<details><summary>All figures</summary><table>
{{range .Numbers}}<tr><td>{{.Name}}</td><td>{{.Value}}</td></tr>
{{end}}</table></details>{{end}}
{{end}}
</html>
`
