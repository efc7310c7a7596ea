package eventloop

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// A socket on which somebody else, a service manager, listens and which it hands over. gnet opens
// its sockets itself and takes no other, so it opens one at a free port of loopback. Before that is
// polled (OnBoot), the inherited socket takes its place under the same descriptor. A peer that
// connected before waits in the backlog and is reported as soon as the socket is polled.
//
// The socket is shared with whoever handed it over: it is never shut down, and changes to its
// blocking mode and its backlog take effect there too.

// takeInherited puts the socket in the place of gnet's, of which own is a duplicate, and returns a
// duplicate of it in place of own.
func takeInherited(inherited, own int) (fd int, err error) {
	theirs, err := sameSocket(own)
	if err != nil {
		return own, err
	}
	if err := unix.SetNonblock(inherited, true); err != nil {
		return own, fmt.Errorf("make the inherited socket non-blocking: %w", err)
	}
	if fd, err = unix.FcntlInt(uintptr(inherited), unix.F_DUPFD_CLOEXEC, 0); err != nil {
		return own, fmt.Errorf("duplicate the inherited socket: %w", err)
	}
	if err := unix.Dup3(inherited, theirs, unix.O_CLOEXEC); err != nil {
		_ = unix.Close(fd)
		return own, fmt.Errorf("take the inherited socket: %w", err)
	}
	_ = unix.Close(own) // of a socket that nobody knows
	return fd, nil
}

// sameSocket returns the descriptor of which own is a duplicate.
func sameSocket(own int) (int, error) {
	var want unix.Stat_t
	if err := unix.Fstat(own, &want); err != nil {
		return 0, fmt.Errorf("stat the listening socket: %w", err)
	}
	for fd := range maxScan {
		var st unix.Stat_t
		if fd != own && unix.Fstat(fd, &st) == nil && st.Ino == want.Ino && st.Dev == want.Dev {
			return fd, nil
		}
	}
	return 0, errNoListener
}
