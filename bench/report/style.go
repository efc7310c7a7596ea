package report

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Size of every plot.
const (
	width  = 8.4 * vg.Inch
	height = 3.6 * vg.Inch
)

// palette is a set of colours that people with colour-blindness can tell apart
// (Okabe and Ito), darkest first.
func palette(i int) color.Color {
	colours := []color.RGBA{
		{0x00, 0x72, 0xB2, 0xFF},
		{0xD5, 0x5E, 0x00, 0xFF},
		{0x00, 0x9E, 0x73, 0xFF},
		{0xCC, 0x79, 0xA7, 0xFF},
		{0xE6, 0x9F, 0x00, 0xFF},
		{0x56, 0xB4, 0xE9, 0xFF},
		{0x4D, 0x4D, 0x4D, 0xFF},
	}
	return colours[i%len(colours)]
}

func grey(level uint8) color.Color { return color.Gray{Y: level} }

func sans() font.Font {
	return font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, vg.Points(10))
}

// newPlot is an empty plot in the page's style.
func newPlot(x, y string) *plot.Plot {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = x, y
	for _, s := range []*font.Font{
		&p.X.Label.TextStyle.Font, &p.Y.Label.TextStyle.Font, &p.X.Tick.Label.Font, &p.Y.Tick.Label.Font, &p.Legend.TextStyle.Font,
	} {
		*s = sans()
	}
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Color, a.Tick.Color, a.Width = grey(0x88), grey(0x88), vg.Points(0.7)
		a.Label.TextStyle.Color, a.Tick.Label.Color = grey(0x33), grey(0x33)
		a.Padding = vg.Points(4)
	}
	p.Legend.Top, p.Legend.Left = true, true
	p.Legend.ThumbnailWidth, p.Legend.Padding = vg.Points(18), vg.Points(2.5)
	grid := plotter.NewGrid()
	grid.Vertical.Color, grid.Horizontal.Color = grey(0xE8), grey(0xE8)
	p.Add(grid)
	p.Y.Tick.Marker, p.X.Tick.Marker = shortTicks{}, shortTicks{}
	return p
}

// line adds a named line in colour i.
func line(p *plot.Plot, name string, i int, xy plotter.XYs) error {
	l, err := plotter.NewLine(xy)
	if err != nil {
		return fmt.Errorf("line %s: %w", name, err)
	}
	l.Color, l.Width = palette(i), vg.Points(1.8)
	p.Add(l)
	p.Legend.Add(name, l)
	return nil
}

// points adds a named line with a mark at each of its few values.
func points(p *plot.Plot, name string, i int, xy plotter.XYs) error {
	if err := line(p, name, i, xy); err != nil {
		return err
	}
	s, err := plotter.NewScatter(xy)
	if err != nil {
		return fmt.Errorf("points %s: %w", name, err)
	}
	s.Color, s.Shape, s.Radius = palette(i), draw.CircleGlyph{}, vg.Points(3)
	p.Add(s)
	return nil
}

// shortTicks puts a label at each round number and writes it as 10k or 2.5M.
type shortTicks struct{}

// Ticks implements plot.Ticker.
func (shortTicks) Ticks(lo, hi float64) []plot.Tick {
	const about = 6
	if !(hi > lo) {
		return []plot.Tick{{Value: lo, Label: short(lo)}}
	}
	step := math.Pow(10, math.Floor(math.Log10((hi-lo)/about)))
	for _, m := range []float64{1, 2, 5, 10} {
		if (hi-lo)/(step*m) <= about {
			step *= m
			break
		}
	}
	var ticks []plot.Tick
	for v := math.Ceil(lo/step) * step; v <= hi+step/1000; v += step {
		ticks = append(ticks, plot.Tick{Value: v, Label: short(v)})
	}
	return ticks
}

func short(v float64) string {
	a := math.Abs(v)
	switch {
	case a >= 1e6:
		return trim(v/1e6) + "M"
	case a >= 1e4:
		return trim(v/1e3) + "k"
	}
	return trim(v)
}

func trim(v float64) string {
	digits := 2
	if math.Abs(v) >= 100 {
		digits = 0
	} else if math.Abs(v) >= 10 {
		digits = 1
	}
	s := fmt.Sprintf("%.*f", digits, v)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return s
}

// margin around every plot, so that no label is cut off.
const margin = 0.1 * vg.Inch

// drawOn draws f with its legend above the data rather than over it.
func (f *figure) drawOn(c vg.CanvasSizer) {
	legend := vg.Length(f.names) * vg.Points(14)
	f.plot.Legend.YOffs = legend + vg.Points(3)
	f.plot.Draw(draw.Crop(draw.New(c), margin, -2*margin, margin, -margin-legend))
}

// svg renders f for the page.
func (f *figure) svg() (string, error) {
	c := vgsvg.New(width, f.height)
	f.drawOn(c)
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return "", err
	}
	text := b.String()
	return text[max(0, strings.Index(text, "<svg")):], nil // without the XML prologue
}

// png renders f for places that show no SVG.
func (f *figure) png() ([]byte, error) {
	c := vgimg.NewWith(vgimg.UseWH(width, f.height), vgimg.UseDPI(110), vgimg.UseBackgroundColor(color.White))
	f.drawOn(c)
	var b bytes.Buffer
	_, err := vgimg.PngCanvas{Canvas: c}.WriteTo(&b)
	return b.Bytes(), err
}
