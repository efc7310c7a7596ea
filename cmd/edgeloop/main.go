package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/alecthomas/kong"
)

// Exit codes.
const (
	exitOK    = 0
	exitFail  = 1
	exitUsage = 2
)

// cli is the whole command line. The flags of a node are also environment variables,
// EDGELOOP_ and the flag's name in capitals, and keys of the configuration file; of the
// other commands' flags those that say where the node is (variables.go).
type cli struct {
	Config   configFlag  `help:"Configuration file (YAML): one key a line, named like the flags." placeholder:"FILE"`
	Serve    serveCmd    `cmd:"" help:"Run a node."`
	Token    tokenCmd    `cmd:"" help:"Print a token for a device."`
	Devices  devicesCmd  `cmd:"" help:"List devices."`
	Send     sendCmd     `cmd:"" help:"Send a command to a device."`
	Commands commandsCmd `cmd:"" help:"List the commands that wait for a device."`
	Cancel   cancelCmd   `cmd:"" help:"Take back commands that wait for a device."`
	Kick     kickCmd     `cmd:"" help:"Close a device's connection."`
	Reset    resetCmd    `cmd:"" help:"Have the sequences of a device begin again."`
	Ban      banCmd      `cmd:"" help:"Keep a device out, and close its connection."`
	Unban    unbanCmd    `cmd:"" help:"Let a banned device in again."`
	Revoke   revokeCmd   `cmd:"" help:"Take tokens back, and close the connections that have them."`
	Unrevoke unrevokeCmd `cmd:"" help:"Lift a revocation."`
	Revoked  revokedCmd  `cmd:"" help:"List the revocations."`
	Bans     bansCmd     `cmd:"" help:"List the bans."`
	Tail     tailCmd     `cmd:"" help:"Print the log."`
	Node     nodeCmd     `cmd:"" help:"Say what a node is and does, as JSON."`
	Tenant   tenantCmd   `cmd:"" help:"Show what a tenant may use and what it uses, or change its quotas while the node runs."`
	Limits   limitsCmd   `cmd:"" help:"Show the limits of a node, or change them while it runs."`
	Reload   reloadCmd   `cmd:"" help:"Have a node read its keys, tokens and settings again."`
	Drain    drainCmd    `cmd:"" help:"Send the devices of a node away, and wait until their messages are in the log."`
	Readers  readersCmd  `cmd:"" help:"List and forget the services that read the log."`
	Sinks    sinksCmd    `cmd:"" help:"List and change the ways out of the log."`
	Log      logCmd      `cmd:"" help:"Check and configure the log."`
	Doctor   doctorCmd   `cmd:"" help:"Say how many devices this machine can hold, and what limits the number."`
	Echo     echoCmd     `cmd:"" help:"Run an echo server: the event loop and the frames, nothing else."`
	Health   healthCmd   `cmd:"" help:"Ask a node whether it is ready; exit code 0 if so."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

func main() {
	os.Exit(run(commandLine(), os.Stdout, os.Stderr))
}

// run is main without the process, for tests.
func run(args []string, stdout, stderr io.Writer) int {
	dropEmptyVariables()
	var c cli
	parser, err := newParser(&c, stdout, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "edgeloop:", err)
		return exitFail
	}
	return protect(func() int {
		ctx, err := parser.Parse(args)
		if err != nil {
			fmt.Fprintln(stderr, "edgeloop:", err)
			fmt.Fprintln(stderr, "Run 'edgeloop --help' for what is allowed.")
			return exitUsage
		}
		if err := ctx.Run(&streams{stdout, stderr, args}); err != nil {
			lastWord(stderr, "edgeloop: "+explain(err)+"\n")
			return codeOf(err)
		}
		return exitOK
	})
}

// newParser fills c from the command line, the environment and the
// configuration file.
func newParser(c *cli, stdout, stderr io.Writer) (*kong.Kong, error) {
	parser, err := kong.New(c,
		kong.Name("edgeloop"),
		kong.Description("A device ingestion edge node: WebSocket in, durable log out, commands back."),
		kong.DefaultEnvars("EDGELOOP"),
		kong.UsageOnError(),
		unitFlags,
		kong.Writers(stdout, stderr),
		kong.Exit(func(code int) { panic(exitCode(code)) }),
		kong.Vars{"version": version(), "data_dir": dataDir},
	)
	if err != nil {
		return nil, err
	}
	describe(parser.Model)
	keepActionsOut(parser.Model)
	return parser, nil
}

// streams is where a command writes, and the command line that it came from.
type streams struct {
	out, err io.Writer
	args     []string
}

// exitCode is how kong's wish to exit (after --help) reaches protect.
type exitCode int

func protect(f func() int) (code int) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case exitCode:
			code = int(v)
		default:
			panic(v)
		}
	}()
	return f()
}

// usageError is a wrong setting that only showed when settings were compared.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func codeOf(err error) int {
	var u usageError
	if errors.As(err, &u) {
		return exitUsage
	}
	return exitFail
}
