package servers

import (
	"os"
	"reflect"
	"syscall"
)

// MessageFields is what an Outlet takes a message of the server for.
var MessageFields = reflect.TypeFor[storeMessageFields]()

// JudgeSync and Older are how an external server's syncs are judged.
var (
	JudgeSync = judgeSync
	Older     = older
)

// Lock is the lock of a data directory.
type Lock struct{ l *dirLock }

// LockDirs takes it.
func LockDirs(dirs ...string) (Lock, error) {
	l, err := lockDirs("test", dirs...)
	return Lock{l}, err
}

// Inherit shares the first directory's lock, as a child does that was forked.
func (l Lock) Inherit() (*os.File, error) {
	fd, err := syscall.Dup(int(l.l.held[0].Fd()))
	return os.NewFile(uintptr(fd), "inherited"), err
}

// Close gives it back.
func (l Lock) Close() error { return l.l.close() }
