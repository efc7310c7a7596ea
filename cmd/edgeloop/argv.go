package main

import (
	"os"
	"strings"
	"unsafe"
)

// hideSecrets overwrites what a URL on the command line has before its @, where every user of
// the machine can read it (ps, /proc/PID/cmdline), and returns the arguments as they were.
//
// The strings of os.Args lie in the memory that the kernel shows as the command line: the
// runtime does not copy them. It runs first, so that nothing else refers to them, and the
// copies are what the program goes on with. A look in the first milliseconds still sees
// the secret, so files are the better way: see natsFlags.
func hideSecrets(args []string) []string {
	copies := make([]string, len(args))
	for i, arg := range args {
		copies[i] = strings.Clone(arg)
		at := strings.LastIndexByte(arg, '@')
		scheme := strings.Index(arg, "://")
		if scheme < 0 || at < scheme {
			continue
		}
		raw := unsafe.Slice(unsafe.StringData(arg), len(arg)) // arguments are writable
		for j := scheme + len("://"); j < at; j++ {
			raw[j] = 'x'
		}
	}
	return copies
}

// commandLine is the process's, without what hideSecrets hides.
func commandLine() []string { return hideSecrets(os.Args)[1:] }
