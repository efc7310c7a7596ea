package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin/api"
	"edgeloop/backbone"
	"edgeloop/internal/units"
)

// logSetCmd changes a shared log.
type logSetCmd struct {
	NATSURL string `name:"nats-url" required:"" help:"The external NATS server with the log. An embedded log takes the flags of edgeloop serve at each start."`
	natsFlags
	MaxBytes  int64         `type:"size-or-none" default:"auto" help:"Size of the log, 16MiB or more, or none for as large as the disk."`
	MaxAge    time.Duration `type:"age-or-none" default:"auto" help:"Age after which records leave the log, 1m or more, or none to keep them."`
	WhenFull  string        `default:"auto" enum:"auto,drop-oldest,stop" help:"What a full log does: forget the oldest, or hold devices back."`
	Replicas  int           `default:"0" help:"Servers of the cluster that hold the log, 1 to 5."`
	Patience  time.Duration `default:"10s" help:"How long to wait for the server."`
	LogLevel  string        `default:"warn" enum:"debug,info,warn,error" help:"What is logged."`
	LogFormat string        `default:"text" enum:"text,json" help:"How it is logged."`
}

// Run changes what was given and prints each setting, before and after.
func (l *logSetCmd) Run(io *streams) error {
	s := logSettings(l.MaxBytes, l.MaxAge, l.WhenFull, l.Replicas)
	if s == (backbone.LogSettings{}) {
		return usageError{errors.New("give what to set: --max-bytes, --max-age, --when-full or --replicas")}
	}
	if err := checkLogSettings("", s); err != nil {
		return usageError{err}
	}
	if err := errors.Join(l.checkURL(l.NATSURL), l.checkFiles()); err != nil {
		return usageError{err}
	}
	log, err := newLogging(l.LogLevel, l.LogFormat, io.err)
	if err != nil {
		return usageError{err}
	}
	defer log.out.Close()
	ctx, cancel := context.WithTimeout(context.Background(), l.Patience)
	defer cancel()
	before, after, err := backbone.SetLog(ctx, backbone.Config{NATSURL: l.NATSURL, NATSAccess: l.access(), Logger: log.Logger}, s)
	if err != nil {
		return err
	}
	was, is := settingTexts(before), settingTexts(after)
	for i := range was {
		note := "as it was"
		if was[i][1] != is[i][1] {
			note = "was " + was[i][1]
		}
		fmt.Fprintf(io.out, "%-10s %s (%s)\n", is[i][0], is[i][1], note)
	}
	return nil
}

// logSettings are settings as flags have them.
func logSettings(size int64, age time.Duration, full string, replicas int) backbone.LogSettings {
	s := backbone.LogSettings{MaxBytes: size, MaxAge: age, Replicas: replicas}
	switch full {
	case "drop-oldest":
		s.WhenFull = backbone.DropOldest
	case "stop":
		s.WhenFull = backbone.Stop
	}
	return s
}

func (s *serveCmd) logSettings() backbone.LogSettings {
	return logSettings(s.LogMaxBytes, s.LogMaxAge, s.WhenFull, s.LogReplicas)
}

// checkLogSettings keeps a log from being so small, or its records so short-lived,
// that a device hears of one that is gone already.
func checkLogSettings(prefix string, s backbone.LogSettings) error {
	const maxAge = 100 * 365 * 24 * time.Hour
	switch {
	case s.MaxBytes > 0 && (s.MaxBytes < backbone.MinMaxBytes || s.MaxBytes > 1<<60):
		return fmt.Errorf("--%smax-bytes=%s: give %s to %s, none for as large as the disk, or auto: a smaller log would push out records that are being acknowledged",
			prefix, units.SizeText(s.MaxBytes), units.SizeText(backbone.MinMaxBytes), units.SizeText(1<<60))
	case s.MaxAge > 0 && (s.MaxAge < backbone.MinMaxAge || s.MaxAge > maxAge):
		return fmt.Errorf("--%smax-age=%s: give %s to %s, none to keep records, or auto: a shorter one would remove records that a slow disk is still syncing",
			prefix, s.MaxAge, backbone.MinMaxAge, maxAge)
	case s.Replicas < 0 || s.Replicas > 5:
		return fmt.Errorf("--%sreplicas=%d: give 1 to 5", prefix, s.Replicas)
	}
	return nil
}

// settingTexts are the settings of a log as they can be given, in order.
func settingTexts(s backbone.LogSettings) [4][2]string {
	size, age := "none", "none"
	if s.MaxBytes > 0 {
		size = units.SizeText(s.MaxBytes)
	}
	if s.MaxAge > 0 {
		age = s.MaxAge.String()
	}
	return [4][2]string{{"max-bytes", size}, {"max-age", age}, {"when-full", s.WhenFull.String()}, {"replicas", fmt.Sprint(s.Replicas)}}
}

// sayLog says at start what bounds the log.
func (n *node) sayLog() {
	l := n.backbone.LogInfo()
	fields := []zap.Field{zap.Stringer("sync", l.Sync)}
	for _, s := range settingTexts(l.LogSettings) {
		fields = append(fields, zap.String(s[0], s[1]))
	}
	n.log.Info("the log is bounded", fields...)
}

// logStatus is what /v1/node says of the log.
func logStatus(b *backbone.Backbone) *api.NodeLog {
	l := b.LogInfo()
	out := &api.NodeLog{
		MaxBytes: max(l.MaxBytes, 0), MaxAge: api.Duration(max(l.MaxAge, 0)), WhenFull: l.WhenFull.String(),
		Replicas: l.Replicas, Compressed: l.Compressed, Sync: l.Sync.String(),
	}
	for _, d := range l.Differences {
		out.Differences = append(out.Differences, api.LogDifference(d))
	}
	if u, ok := b.Usage(); ok {
		out.Usage = usageStatus(&u)
	}
	return out
}

func usageStatus(u *backbone.Usage) *api.LogUsage {
	out := &api.LogUsage{Records: u.Records, Bytes: u.Bytes, Rate: u.Rate}
	if !u.Oldest.IsZero() {
		out.Oldest = &u.Oldest
	}
	if u.Free >= 0 {
		out.DiskFree = &u.Free
	}
	if u.Room >= 0 {
		out.Room, out.AtFull = &u.Room, "forgets"
	}
	if u.Room >= 0 && u.Stops {
		out.AtFull = "stops"
	}
	if u.FullIn > 0 {
		in := api.Duration(u.FullIn.Round(time.Second))
		out.FullIn = &in
	}
	return out
}
