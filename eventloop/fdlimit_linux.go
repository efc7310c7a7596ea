package eventloop

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// RaiseFDLimit sets this process' soft limit of open descriptors to want, or as
// near to it as the hard limit allows; 0 means the hard limit. It returns what
// it is now and the hard limit.
func RaiseFDLimit(want uint64) (soft, hard uint64, err error) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, 0, fmt.Errorf("read the descriptor limit: %w", err)
	}
	if want == 0 || want > lim.Max {
		want = lim.Max
	}
	lim.Cur = want
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, lim.Max, fmt.Errorf("set the descriptor limit to %d: %w", want, err)
	}
	return lim.Cur, lim.Max, nil
}
