package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"edgeloop/backbone"
)

// logBackupCmd backs a running node up.
type logBackupCmd struct {
	Remote remote `embed:""`

	File string `arg:"" type:"path" help:"File for the backup, a tar; it must not exist."`
}

// Run writes the backup beside the file, syncs and checks it, and gives it its name.
func (l *logBackupCmd) Run(io *streams) error {
	if _, err := os.Lstat(l.File); err == nil {
		return usageError{fmt.Errorf("%s is there already: name another file", l.File)}
	}
	c, err := l.Remote.client()
	if err != nil {
		return err
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	part := l.File + ".part"
	if err := removeFile(part); err != nil { // of a backup that was cut off, or of somebody else
		return err
	}
	f, err := os.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) // it holds what devices sent
	if err != nil {
		return err
	}
	if err = c.Backup(ctx, f); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = checkBackup(f, io)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(part))
	}
	if err := os.Rename(part, l.File); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(l.File))
}

// checkBackup reads all of a backup and says what it is.
func checkBackup(f *os.File, io *streams) error {
	if _, err := f.Seek(0, 0); err != nil {
		return err
	}
	m, err := backbone.CheckBackup(f)
	if err != nil {
		return err
	}
	size, err := f.Seek(0, 2)
	if err != nil {
		return err
	}
	log := m.Stream(backbone.StreamUp)
	fmt.Fprintf(io.out, "backup of log %s, made %s by edgeloop %s: %d records, positions %d to %d, acknowledged to %d, %d streams, %d bytes; checked\n",
		m.Log, m.Made.Format("2006-01-02T15:04:05Z07:00"), m.By, log.Messages, log.First, log.Last, m.Durable, len(m.Streams), size)
	return nil
}

func syncFolder(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// logRestoreCmd makes a data directory of a backup.
type logRestoreCmd struct {
	DataDir   string `required:"" type:"path" help:"New data directory: it must be empty, or not be there."`
	File      string `arg:"" type:"existingfile" help:"The backup."`
	LogLevel  string `default:"warn" enum:"debug,info,warn,error" help:"What is logged."`
	LogFormat string `default:"text" enum:"text,json" help:"How it is logged."`
}

// Run checks the backup, restores it and checks what came of it.
func (l *logRestoreCmd) Run(io *streams) error {
	log, err := newLogging(l.LogLevel, l.LogFormat, io.err)
	if err != nil {
		return usageError{err}
	}
	defer log.out.Close()
	f, err := os.Open(l.File)
	if err != nil {
		return err
	}
	defer f.Close()
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	cfg := backbone.Config{DataDir: l.DataDir, Node: "restore", Logger: log.Logger}
	r, err := backbone.RestoreBackup(ctx, cfg, f)
	if err != nil {
		return fmt.Errorf("%s to --data-dir=%s: %w", l.File, l.DataDir, err)
	}
	v, err := backbone.VerifyLog(cfg)
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "restored log %s as log %s: %d records, positions %d to %d; all that was acknowledged up to position %d, %s\n",
		r.From.Log, r.Log, r.Records, r.First, r.Last, r.From.Durable, r.From.Made.Format("2006-01-02T15:04:05Z07:00"))
	if !v.Sound() {
		return damagedError{len(v.Damages), len(v.Undecided)}
	}
	return nil
}
