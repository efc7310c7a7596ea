package report

import (
	"fmt"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
)

// bar is one horizontal bar: part of its length may be set off by colour.
type bar struct {
	name        string
	total, part float64
}

// bars draws horizontal bars, the first on top, each with its value. part and
// rest name the two colours; part "" draws one.
func bars(id, title, note, unit, part, rest string, list []bar) (*figure, error) {
	if len(list) == 0 {
		return nil, nil
	}
	p := newPlot(unit, "")
	first, second := make(plotter.Values, len(list)), make(plotter.Values, len(list))
	names := make([]string, len(list))
	top := 0.0
	labels := plotter.XYLabels{}
	for i, b := range list {
		k := len(list) - 1 - i // bars are drawn from below
		names[k] = b.name
		first[k], second[k] = b.part, b.total-b.part
		top = max(top, b.total)
		labels.XYs = append(labels.XYs, plotter.XY{X: b.total, Y: float64(k)})
		labels.Labels = append(labels.Labels, " "+trim(b.total))
	}
	wide := vg.Points(15)
	below, err := plotter.NewBarChart(first, wide)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", title, err)
	}
	above, err := plotter.NewBarChart(second, wide)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", title, err)
	}
	below.Horizontal, above.Horizontal = true, true
	below.LineStyle.Width, above.LineStyle.Width = 0, 0
	below.Color, above.Color = palette(1), palette(0)
	above.StackOn(below)
	values, err := plotter.NewLabels(labels)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", title, err)
	}
	for i := range values.TextStyle {
		values.TextStyle[i].YAlign = text.YCenter
		values.TextStyle[i].Color, values.TextStyle[i].Font = grey(0x33), sans()
	}
	p.Add(below, above, values)
	entries := 0
	if part != "" {
		p.Legend.Add(part, below)
		p.Legend.Add(rest, above)
		entries = 2
	}
	p.NominalY(names...)
	p.X.Min, p.X.Max = 0, top*1.12
	p.Y.Min, p.Y.Max = -0.6, float64(len(list))-0.4
	p.X.Tick.Marker = shortTicks{}
	return &figure{id, title, note, p, vg.Points(70 + 24*float64(len(list)) + 13*float64(entries)), entries}, nil
}

// costBars shows the server's CPU for each message of several results.
func costBars(results []Named) (*figure, error) {
	var list []bar
	for _, r := range results {
		for _, what := range []string{"echo", "message", "delivery", "connect", "command"} {
			total, ok := r.Figures["cpu_us_per_"+what]
			if !ok || r.Machine.Emulated {
				continue
			}
			list = append(list, bar{r.Name + ", " + what, total, r.Figures["cpu_user_us_per_"+what]})
		}
	}
	return bars("cost", "CPU of the server for each", "", "microseconds", "user", "system (almost all of it the kernel's socket work)", list)
}

// comparisonFigures are the bars of one comparison.
func comparisonFigures(c Comparison) ([]*figure, error) {
	var out []*figure
	for _, m := range []struct{ id, title, note, unit, measure, figure, user string }{
		{"rss", "Memory of an idle connection", "RSS, marginal, after a forced collection. edgeloop-serve: authenticated and registered.", "bytes", "idle", "rss_bytes_per_connection", ""},
		{"echo1", "Echo of 128 B, one in flight", "Server CPU.", "microseconds", "echo-1", "cpu_us_per_echo", "cpu_user_us_per_echo"},
		{"echo8", "Echo of 128 B, eight in flight", "Server CPU.", "microseconds", "echo-8", "cpu_us_per_echo", "cpu_user_us_per_echo"},
		{"connect", "One connect", "Server CPU.", "microseconds", "connect", "cpu_us_per_connect", "cpu_user_us_per_connect"},
		{"broadcast", "One delivery of a broadcast", "Server CPU.", "microseconds", "broadcast", "cpu_us_per_delivery", "cpu_user_us_per_delivery"},
		{"paced", "Slowest hundredth of echoes at a fixed rate", "99th percentile, counted from the moment each was due.", "milliseconds", "echo-paced", "rtt_p99_ms", ""},
	} {
		var list []bar
		for _, s := range c.servers() {
			total, ok := c.median(s, m.measure, m.figure)
			if !ok {
				continue
			}
			part, _ := c.median(s, m.measure, m.user)
			list = append(list, bar{s, max(total, 0), part})
		}
		part, rest := "", ""
		if m.user != "" {
			part, rest = "user", "system"
		}
		f, err := bars(c.Name+"-"+m.id, m.title, m.note, m.unit, part, rest, list)
		if err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}
