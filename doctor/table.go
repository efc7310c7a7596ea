package doctor

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Style says how a report is written for people.
type Style struct {
	// Width is columns of the terminal; 0 is 100.
	Width int
	// Colour marks the verdicts.
	Colour bool
	// All shows how to lift a limit even where it is high enough.
	All bool
}

const (
	defaultWidth = 100
	leastWidth   = 80
)

// WriteTable writes the report for people. The last lines are the answer.
func (r *Report) WriteTable(w io.Writer, style Style) error {
	if style.Width == 0 {
		style.Width = defaultWidth
	}
	t := &table{r: r, style: style, names: len("limit"), values: len("value")}
	t.style.Width = max(t.style.Width, leastWidth)
	for _, c := range r.Checks {
		t.names = max(t.names, len(c.ID))
		t.values = max(t.values, utf8.RuneCountInString(c.Value))
	}
	fmt.Fprintf(&t.b, "Room for %s devices on this machine?\n", count(r.Wanted))
	group := ""
	for _, c := range r.Checks {
		if c.Group != group {
			group = c.Group
			t.b.WriteByte('\n')
			t.row(pad(group, margin), "", "value", "devices")
		}
		t.check(c)
	}
	t.actions()
	t.answer()
	_, err := io.WriteString(w, t.b.String())
	return err
}

type table struct {
	r             *Report
	style         Style
	b             strings.Builder
	names, values int // widths of columns
}

const (
	// margin holds the verdicts; lines that belong to a row are indented by it.
	margin = 10
	// devicesWidth is the width of 1,073,741,824.
	devicesWidth = 13
)

// row writes one line of the columns. first takes the margin; a heading may be wider.
func (t *table) row(first, name, value, devices string) {
	over := max(0, utf8.RuneCountInString(first)-margin)
	t.b.WriteString(t.mark(first) + pad(name, t.names-over) + "  " + padLeft(value, t.values) + "  " + padLeft(devices, devicesWidth) + "\n")
}

func (t *table) check(c Check) {
	devices := "any"
	switch {
	case c.Devices != nil:
		devices = count(*c.Devices)
	case c.Verdict == Unknown:
		devices = "?"
	}
	t.row(pad("  "+string(c.Verdict), margin), c.ID, c.Value, devices)
	how := c.Arithmetic
	if how != "" && c.Note != "" {
		how += "; "
	}
	for _, part := range wrap(how+c.Note, t.style.Width-margin-2) {
		fmt.Fprintf(&t.b, "%*s%s\n", margin+2, "", part)
	}
	if c.Fix == nil {
		return
	}
	first := t.r.First != nil && t.r.First.ID == c.ID
	if t.style.All || first || c.Verdict == Limits || c.Verdict == Warn {
		fmt.Fprintf(&t.b, "%*snow:   %s\n%*slasts: %s: %s\n", margin+2, "", c.Fix.Now, margin+2, "", c.Fix.File, c.Fix.Line)
	}
}

func (t *table) actions() {
	if len(t.r.Actions) == 0 {
		return
	}
	t.b.WriteString("\nFixes\n")
	for _, a := range t.r.Actions {
		if a.Did != "" {
			fmt.Fprintf(&t.b, "  done     %s: %s\n", a.ID, a.Did)
		}
		if a.Error != "" {
			fmt.Fprintf(&t.b, "  failed   %s: %s\n", a.ID, a.Error)
		}
		if a.Operator != "" {
			fmt.Fprintf(&t.b, "  by hand  %s: %s\n", a.ID, a.Operator)
		}
	}
}

// answer writes the conclusion.
func (t *table) answer() {
	r := t.r
	t.b.WriteByte('\n')
	switch {
	case r.First == nil:
		t.b.WriteString("No limit could be read: how many devices fit is not known.\n")
	case r.Fits:
		t.b.WriteString(t.paint(OK, fmt.Sprintf("This machine can hold %s devices now; %s are wanted and fit.", count(r.First.Devices), count(r.Wanted))) + "\n")
	default:
		t.b.WriteString(t.paint(Limits, fmt.Sprintf("This machine can hold %s devices now, %s fewer than the %s wanted.",
			count(r.First.Devices), count(r.Wanted-r.First.Devices), count(r.Wanted))) + "\n")
	}
	if r.First != nil {
		fmt.Fprintf(&t.b, "  first limit  %s\n", r.First.ID)
	}
	if r.Next != nil {
		fmt.Fprintf(&t.b, "  next limit   %s, at %s devices, when the first is lifted\n", r.Next.ID, count(r.Next.Devices))
	}
	if len(r.NotKnown) > 0 {
		fmt.Fprintf(&t.b, "  not known    %s: may be lower\n", strings.Join(r.NotKnown, ", "))
	}
	var warned []string
	for _, c := range r.Checks {
		if c.Verdict == Warn {
			warned = append(warned, c.ID)
		}
	}
	if len(warned) > 0 {
		fmt.Fprintf(&t.b, "  warnings     %s\n", strings.Join(warned, ", "))
	}
}

// mark paints a padded verdict and leaves other words as they are.
func (t *table) mark(padded string) string {
	return t.paint(Verdict(strings.TrimSpace(padded)), padded)
}

func (t *table) paint(v Verdict, s string) string {
	colour := map[Verdict]string{OK: "32", Warn: "33", Limits: "1;31", Unknown: "33"}[v]
	if !t.style.Colour || colour == "" {
		return s
	}
	return "\x1b[" + colour + "m" + s + "\x1b[0m"
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

func padLeft(s string, width int) string {
	return strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s))) + s
}

// wrap cuts s between words into parts of at most width columns.
func wrap(s string, width int) (parts []string) {
	part := ""
	for _, word := range strings.Fields(s) {
		if part != "" && len(part)+1+len(word) > width {
			parts = append(parts, part)
			part = ""
		}
		if part != "" {
			part += " "
		}
		part += word
	}
	if part != "" {
		parts = append(parts, part)
	}
	return parts
}
