package bench

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// plainEvery is how often a line is written where nobody watches a terminal.
const plainEvery = 5 * time.Second

// progress tells people how far a run is: one live line on a terminal, a plain
// line now and then elsewhere.
type progress struct {
	w        io.Writer
	terminal bool
	start    time.Time
	last     time.Time
	phase    string
}

func newProgress(w io.Writer) *progress {
	p := &progress{w: w, start: time.Now()}
	if f, ok := w.(*os.File); ok && os.Getenv("TERM") != "dumb" {
		_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		p.terminal = err == nil
	}
	return p
}

// begin names what happens now.
func (p *progress) begin(phase string) {
	p.phase, p.last = phase, time.Time{}
}

// left is the time until end, in words.
func left(end time.Time) string {
	return max(0, time.Until(end)).Round(time.Second).String() + " left"
}

// tick shows where the run stands, and how much is left of it.
func (p *progress) tick(s, before Sample, left string) {
	if !p.terminal && time.Since(p.last) < plainEvery {
		return
	}
	p.last = time.Now()
	line := fmt.Sprintf("%6.1fs  %-12s %7d ready  %9.0f sent/s  %9.0f back/s", time.Since(p.start).Seconds(), p.phase,
		s.Ready, rate(s.Sent-before.Sent, s.T-before.T), rate(s.Back-before.Back, s.T-before.T))
	if s.RSS > 0 {
		line += fmt.Sprintf("  server %.2f cores %s", ratio(s.CPUS-before.CPUS, s.T-before.T), bytesText(float64(s.RSS)))
	}
	line += "  " + left
	if p.terminal {
		_, _ = fmt.Fprintf(p.w, "\r\x1b[K%.*s", p.width(), line)
		return
	}
	_, _ = fmt.Fprintln(p.w, line)
}

// width is what one line of the terminal holds: a longer one would scroll.
func (p *progress) width() int {
	f, ok := p.w.(*os.File)
	if !ok {
		return 80
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col < 2 {
		return 80
	}
	return int(size.Col) - 1
}

// end leaves the terminal an empty line for what comes next.
func (p *progress) end() {
	if p.terminal {
		_, _ = fmt.Fprint(p.w, "\r\x1b[K")
	}
}

// say writes a line of its own.
func (p *progress) say(format string, args ...any) {
	p.end()
	_, _ = fmt.Fprintf(p.w, format+"\n", args...)
}

func rate(n int64, seconds float64) float64 { return ratio(float64(n), seconds) }

// ratio is a/b, and 0 where b is 0.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

func bytesText(b float64) string {
	for _, unit := range []string{"B", "KiB", "MiB"} {
		if b < 10*1024 {
			return fmt.Sprintf("%.0f %s", b, unit)
		}
		b /= 1024
	}
	return fmt.Sprintf("%.1f GiB", b)
}
