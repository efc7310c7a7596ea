package report

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"edgeloop/bench"
)

// figure is one plot with its heading and the sentence under it.
type figure struct {
	ID, Title, Note string
	plot            *plot.Plot
	height          vg.Length
	names           int // entries of the legend
}

// connections shows who was ready over time.
func connections(r Named) (*figure, error) {
	if len(r.Timeline) < 2 {
		return nil, nil
	}
	p := newPlot("seconds", "devices ready")
	xy := make(plotter.XYs, len(r.Timeline))
	for i, s := range r.Timeline {
		xy[i] = plotter.XY{X: s.T, Y: float64(s.Ready)}
	}
	p.Y.Min = 0
	if err := line(p, "ready", 0, xy); err != nil {
		return nil, err
	}
	p.Legend = plot.NewLegend() // one line needs no name
	return &figure{r.Name + "-connections", "Connections over time", phaseNote(r.Result), p, height, 0}, nil
}

func phaseNote(r *bench.Result) string {
	note := "Phases:"
	for i, p := range r.Phases {
		if i > 0 {
			note += ","
		}
		note += fmt.Sprintf(" %s (%.1f s)", p.Name, p.TookS)
	}
	return note + "."
}

// memory shows the server's RSS and the kernel's slab over time.
func memory(r Named) (*figure, error) {
	if len(r.Timeline) < 2 || r.Timeline[len(r.Timeline)/2].RSS == 0 {
		return nil, nil
	}
	p := newPlot("seconds", "MiB")
	rss, slab := make(plotter.XYs, 0, len(r.Timeline)), make(plotter.XYs, len(r.Timeline))
	for i, s := range r.Timeline {
		if s.RSS > 0 {
			rss = append(rss, plotter.XY{X: s.T, Y: float64(s.RSS) / (1 << 20)})
		}
		slab[i] = plotter.XY{X: s.T, Y: float64(s.Kernel-r.Timeline[0].Kernel) / (1 << 20)}
	}
	p.Y.Min = 0
	if err := line(p, "RSS of the server", 0, rss); err != nil {
		return nil, err
	}
	if err := line(p, "kernel slab, both ends, growth", 1, slab); err != nil {
		return nil, err
	}
	return &figure{r.Name + "-memory", "Memory over time", "RSS is what the process itself holds; the slab holds both ends of every connection, because the fleet runs on the same machine.", p, height, 2}, nil
}

// latency shows every histogram of every measured phase by percentile.
func latency(r Named) (*figure, error) {
	p := newPlot("percentile", "milliseconds")
	n := 0
	for _, phase := range r.Phases {
		for _, kind := range []string{"round_trip", "downlink", "command"} {
			l, ok := phase.Latency[kind]
			if !ok || l.Count < 10 || l.HDR == "" {
				continue
			}
			h, err := l.Histogram()
			if err != nil {
				return nil, fmt.Errorf("%s: phase %s: %w", r.Name, phase.Name, err)
			}
			var xy plotter.XYs
			top := math.Log10(float64(l.Count))
			for nines := 0.0; nines <= min(top, 5); nines += 0.05 {
				q := 100 * (1 - math.Pow(10, -nines))
				xy = append(xy, plotter.XY{X: nines, Y: max(float64(h.ValueAtPercentile(q))/1e6, 1e-3)})
			}
			if err := line(p, phase.Name+": "+kindName(kind), n, xy); err != nil {
				return nil, err
			}
			n++
		}
	}
	if n == 0 {
		return nil, nil
	}
	p.X.Tick.Marker, p.Y.Scale, p.Y.Tick.Marker = percentTicks{}, plot.LogScale{}, logTicks{}
	return &figure{
		r.Name + "-latency", "Latency by percentile",
		"Paced messages count from the moment they were due, so that a stall is charged to every message it delayed.", p, height, n,
	}, nil
}

func kindName(kind string) string {
	switch kind {
	case "round_trip":
		return "sent to acknowledged"
	case "downlink":
		return "node to device"
	}
	return "command and reply"
}

// percentTicks labels a number of nines as a percentile.
type percentTicks struct{}

// Ticks implements plot.Ticker.
func (percentTicks) Ticks(_, hi float64) []plot.Tick {
	ticks := []plot.Tick{{Value: 0, Label: "0"}, {Value: math.Log10(2), Label: "50"}}
	for i, label := range []string{"90", "99", "99.9", "99.99", "99.999"} {
		if float64(i+1) <= hi {
			ticks = append(ticks, plot.Tick{Value: float64(i + 1), Label: label})
		}
	}
	return ticks
}

// logTicks labels powers of ten in plain numbers.
type logTicks struct{}

// Ticks implements plot.Ticker.
func (logTicks) Ticks(lo, hi float64) []plot.Tick {
	var ticks []plot.Tick
	for e := math.Floor(math.Log10(lo)); e <= math.Ceil(math.Log10(hi)); e++ {
		ticks = append(ticks, plot.Tick{Value: math.Pow(10, e), Label: short(math.Pow(10, e))})
		for m := 2.0; m < 10; m++ {
			ticks = append(ticks, plot.Tick{Value: m * math.Pow(10, e)})
		}
	}
	return ticks
}

// curves shows capacity runs as curves over the number of devices.
func curves(runs []Named, id, title, note, unit string, lines map[string]string, order []string) (*figure, error) {
	p := newPlot("devices", unit)
	p.Y.Min, p.X.Min = 0, 0
	drawn := 0
	for i, name := range order {
		var xy plotter.XYs
		for _, r := range runs {
			if v, ok := r.Figures[lines[name]]; ok {
				xy = append(xy, plotter.XY{X: r.Figures["connections"], Y: v})
				p.Y.Max = max(p.Y.Max, v*1.25)
			}
		}
		if len(xy) < 2 {
			continue
		}
		if err := points(p, name, i, xy); err != nil {
			return nil, err
		}
		drawn++
	}
	if drawn == 0 {
		return nil, nil
	}
	return &figure{id, title, note, p, height, drawn}, nil
}
