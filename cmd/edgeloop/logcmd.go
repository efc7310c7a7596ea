package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"edgeloop/backbone"
)

// logCmd looks after the log.
type logCmd struct {
	Set     logSetCmd     `cmd:"" help:"Change the settings of the log on an external NATS server, and show the old and the new ones."`
	Export  logExportCmd  `cmd:"" help:"Write the records of the log, or some of them, as lines of JSON: of a node that runs, or from the files under --data-dir of one that does not. The last line on standard error is the position that was reached."`
	Trim    logTrimCmd    `cmd:"" help:"Remove the oldest records of a running node's log, up to a position or a time."`
	Backup  logBackupCmd  `cmd:"" help:"Back up the log of a running node, with waiting commands, bans and the places of sinks, to a file, and check it. It has all that was acknowledged before."`
	Restore logRestoreCmd `cmd:"" help:"Make a new data directory from a backup, and check it."`
	Verify  logVerifyCmd  `cmd:"" help:"Read the whole log under --data-dir and say what is missing. It changes nothing; a node may be running. Exit code 1: something is missing."`
	Accept  logAcceptCmd  `cmd:"" help:"Decide to go on with a damaged log, without the lost records. A running node becomes ready within moments."`
}

// logVerifyCmd checks the log on the disk.
type logVerifyCmd struct {
	DataDir string `default:"${data_dir}" type:"path" help:"Data directory of the node."`
	Backup  string `default:"" type:"path" help:"Read this backup instead, and say whether it is whole."`
}

// damagedError ends verify with an exit code that tells.
type damagedError struct{ damages, reports int }

func (e damagedError) Error() string {
	return fmt.Sprintf("the log is damaged: %d findings, %d reports that nobody has decided about; restore a backup, or go on without what is lost with 'edgeloop log accept' or 'serve --on-damage=serve'", e.damages, e.reports)
}

// Run prints what the log is.
func (l *logVerifyCmd) Run(io *streams) error {
	if l.Backup != "" {
		f, err := os.Open(l.Backup)
		if err != nil {
			return err
		}
		return errors.Join(checkBackup(f, io), f.Close())
	}
	v, err := backbone.VerifyLog(backbone.Config{DataDir: l.DataDir, Node: "verify"})
	if err != nil {
		return fmt.Errorf("--data-dir=%s: %w", l.DataDir, err)
	}
	if v.Blocks == 0 && v.Sound() {
		fmt.Fprintf(io.out, "no log in %s\n", l.DataDir)
		return nil
	}
	fmt.Fprintf(io.out, "log %s: %d blocks, %d bytes, positions %d to %d, acknowledged to %d, read in %s\n",
		v.Log, v.Blocks, v.Bytes, v.First, v.Last, v.Known, v.Took.Round(time.Millisecond))
	if v.Lost > 0 {
		fmt.Fprintf(io.out, "%d records are known to be lost\n", v.Lost)
	}
	for i := range v.Damages {
		fmt.Fprintf(io.out, "damage: %s\n", v.Damages[i].String())
	}
	for i := range v.Undecided {
		r := &v.Undecided[i]
		fmt.Fprintf(io.out, "nobody has decided about %s, of %s:\n", r.Folder(), r.At.Format(time.RFC3339))
		for d := range r.Damages {
			fmt.Fprintf(io.out, "  %s\n", r.Damages[d].String())
		}
	}
	if !v.Sound() {
		return damagedError{len(v.Damages), len(v.Undecided)}
	}
	fmt.Fprintln(io.out, "sound")
	return nil
}

// logAcceptCmd is the decision.
type logAcceptCmd struct {
	DataDir string `default:"${data_dir}" type:"path" help:"Data directory of the node."`
}

// Run notes it with the reports. What was found but not yet reported by a node, it
// does not decide about.
func (l *logAcceptCmd) Run(io *streams) error {
	n, err := backbone.AcceptDamage(l.DataDir)
	if err != nil {
		return fmt.Errorf("--data-dir=%s: %w", l.DataDir, err)
	}
	fmt.Fprintf(io.out, "%d reports accepted\n", n)
	return nil
}

// onDamage is the policy of the flag's word.
func onDamage(word string) backbone.OnDamage {
	switch word {
	case "stop":
		return backbone.DamageStop
	case "serve":
		return backbone.DamageServe
	}
	return backbone.DamageUnready
}
