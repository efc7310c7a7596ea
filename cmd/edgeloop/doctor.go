package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"edgeloop/doctor"
)

// doctorCmd says how many devices this machine holds.
type doctorCmd struct {
	Connections int    `short:"c" default:"100000" help:"Wanted devices; the default is what serve lets in if the machine allows it."`
	DataDir     string `default:"${data_dir}" type:"path" help:"Data directory of the node: its disk is measured. It need not exist."`
	FDReserve   int    `name:"fd-reserve" default:"512" help:"Descriptors that serve reserves: its --fd-reserve."`
	JSON        bool   `name:"json" help:"Write the report as JSON; docs/doctor.md describes it."`
	All         bool   `help:"Show how to lift each limit, even if it is high enough."`
	Fix         bool   `help:"Set the sysctls that are too low, and say what is left to do by hand."`
}

const mostConnections = 1 << 30

// Run writes the report. It fails when the devices do not fit.
func (d *doctorCmd) Run(io *streams) error {
	if d.Connections < 1 || d.Connections > mostConnections {
		return usageError{fmt.Errorf("--connections=%d: give 1 to %d", d.Connections, mostConnections)}
	}
	if d.FDReserve < 64 || d.FDReserve > mostConnections {
		return usageError{fmt.Errorf("--fd-reserve=%d: give 64 or more, the log alone needs dozens", d.FDReserve)}
	}
	look := doctor.Examine
	if d.Fix {
		look = doctor.Fix
	}
	r, err := look(doctor.Config{
		Devices: d.Connections, DataDir: d.DataDir, OwnDescriptors: d.FDReserve + refuseReserve, Root: doctor.Machine(),
	})
	if err != nil {
		return usageError{err}
	}
	if err := d.write(io.out, r); err != nil {
		return err
	}
	if !r.Fits {
		return fmt.Errorf("%d devices do not fit: %s allows %d", r.Wanted, r.First.ID, r.First.Devices)
	}
	return nil
}

func (d *doctorCmd) write(w io.Writer, r *doctor.Report) error {
	if !d.JSON {
		return r.WriteTable(w, tableStyle(w, d.All))
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

// tableStyle is that of the terminal behind w; plain if there is none.
func tableStyle(w io.Writer, all bool) doctor.Style {
	style := doctor.Style{All: all}
	f, ok := w.(*os.File)
	if !ok {
		return style
	}
	if size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ); err == nil {
		style.Width, style.Colour = int(size.Col), os.Getenv("NO_COLOR") == ""
	}
	return style
}
