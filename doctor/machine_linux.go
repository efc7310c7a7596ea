package doctor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is the machine this process runs on.
func Machine() Root {
	return Root{
		FS:          os.DirFS("/"),
		Descriptors: descriptors,
		Cores:       func() int { return runtime.GOMAXPROCS(0) },
		Free:        free,
		Sync:        syncs,
		Clock:       clock,
		Write: func(name, value string) error {
			return os.WriteFile("/"+name, []byte(value+"\n"), 0o644) //nolint:gosec // the mode of a file in /proc is not ours
		},
	}
}

// descriptors asks a shell for the soft limit: before main, Go raises this process's soft
// limit to the hard one, but its children start with the original.
func descriptors() (soft, hard uint64, err error) {
	var lim unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &lim); err != nil {
		return 0, 0, fmt.Errorf("read the descriptor limit: %w", err)
	}
	out, err := exec.Command("sh", "-c", "ulimit -Sn").Output()
	if err != nil {
		return lim.Cur, lim.Max, nil //nolint:nilerr // without a shell, the limit that Go set is the next best
	}
	soft, err = strconv.ParseUint(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		soft = lim.Cur
	}
	return soft, lim.Max, nil
}

// nearest is dir, or the nearest existing folder above it.
func nearest(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for {
		info, err := os.Stat(dir)
		switch {
		case err == nil && info.IsDir():
			return dir, nil
		case err == nil:
			return "", fmt.Errorf("%s is not a folder", dir)
		case !errors.Is(err, os.ErrNotExist) || dir == filepath.Dir(dir):
			return "", err
		}
		dir = filepath.Dir(dir)
	}
}

func free(dir string) (folder string, bytes int64, err error) {
	if folder, err = nearest(dir); err != nil {
		return "", 0, err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return folder, 0, fmt.Errorf("%s: %w", folder, err)
	}
	return folder, int64(st.Bavail) * st.Bsize, nil //nolint:gosec // no disk is that large
}

// syncs appends and syncs as the log does. The file keeps its name until the end, because
// on some file systems syncing an unlinked file costs nothing.
func syncs(dir string, n int, limit time.Duration) (took []time.Duration, err error) {
	if dir, err = nearest(dir); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(dir, ".edgeloop-doctor-*")
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = f.Close()
		err = errors.Join(err, os.Remove(f.Name()))
	}()
	block := make([]byte, pageBytes)
	for end := time.Now().Add(limit); len(took) < n && time.Now().Before(end); {
		if _, err := f.Write(block); err != nil {
			return nil, err
		}
		began := time.Now()
		if err := f.Sync(); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
	}
	return took, nil
}

func clock() (synchronised bool, wrong time.Duration, err error) {
	var t unix.Timex
	state, err := unix.Adjtimex(&t) // Modes is 0: only asks
	if err != nil {
		return false, 0, fmt.Errorf("adjtimex: %w", err)
	}
	return state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0, time.Duration(t.Maxerror) * time.Microsecond, nil
}
