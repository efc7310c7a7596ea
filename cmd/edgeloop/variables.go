package main

import (
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// environment is of whom each flag may come from a variable or from the configuration
// file: of a node and of what describes it. What does something takes from there only
// where it finds the node (places): a variable that was left set must not make of a
// command to one device one to all.
var (
	environment = []string{"serve", "doctor", "echo"}
	places      = []string{
		"config", "data-dir", "admin-url", "admin-listen", "admin-tls-cert", "health-listen", "admin-ca", "admin-cert", "admin-key", "admin-token-file", "admin-tokens-file", "secret-file", "nats-url",
		"nats-creds", "nats-user", "nats-password-file", "nats-token-file", "nats-ca", "nats-cert", "nats-key",
	}
)

// keepActionsOut takes the variables from all flags that say what to do.
func keepActionsOut(model *kong.Application) {
	for _, command := range model.Children {
		if !slices.Contains(environment, command.Name) {
			withoutVariables(command)
		}
	}
}

// noVariable is a variable that is never there.
const noVariable = "-"

// action says that a flag says what to do, and is on the command line only.
func action(flag *kong.Flag) bool { return slices.Contains(flag.Tag.Envs, noVariable) }

func withoutVariables(n *kong.Node) {
	for _, flag := range n.Flags {
		if !slices.Contains(places, flag.Name) {
			flag.Envs, flag.Tag.Envs = nil, []string{noVariable}
		}
	}
	for _, child := range n.Children {
		withoutVariables(child)
	}
}

// dropEmptyVariables has a variable without a value be none, as compose files and units
// have them for what is not set.
func dropEmptyVariables() {
	for _, v := range os.Environ() {
		if name, value, _ := strings.Cut(v, "="); value == "" && strings.HasPrefix(name, "EDGELOOP_") {
			_ = os.Unsetenv(name) // it cannot fail for a name that is there
		}
	}
}
