package main

import (
	"syscall"

	"go.uber.org/zap"
)

// noCore keeps the memory of a node, which has keys and tokens, out of core files: a crash has
// told on standard error what its goroutines were at. A limit of 0 would not do: the kernel
// asks for one only where it writes a file, and has 1 mean that a program behind
// kernel.core_pattern gets nothing either. The hard limit stays, for prlimit.
func noCore(log *zap.Logger) {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_CORE, &limit)
	if err == nil {
		limit.Cur = min(1, limit.Max)
		err = syscall.Setrlimit(syscall.RLIMIT_CORE, &limit)
	}
	if err != nil {
		log.Warn("a crash may leave a core file with keys and tokens", zap.Error(err))
	}
}
