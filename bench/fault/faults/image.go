package faults

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
)

// Image is a disk of the node's own: an ext4 file system in a file. The file holds what the
// file system has written to its disk, and not what is only in memory. A copy of the file
// is therefore the disk after a power cut.
//
// The copy lacks what was never written back. It does not lack what the disk took without a
// flush, so a missing flush after a write goes unnoticed.
type Image struct {
	Path, Mount string
}

// Freeze makes every write and sync of the disk wait until thaw is called. The disk also thaws
// when this process dies, because a shell holds the freeze and its input then ends.
func (im *Image) Freeze() (thaw func() error, err error) {
	cmd := exec.Command("sh", "-c", `fsfreeze -f "$0" && echo frozen && read line; fsfreeze -u "$0"`, im.Mount)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	thaw = sync.OnceValue(func() error { return errors.Join(in.Close(), cmd.Wait()) })
	if line != "frozen\n" {
		return nil, fmt.Errorf("freeze %s: %w", im.Mount, errors.Join(err, thaw()))
	}
	return thaw, nil
}

// Attach mounts the image.
func (im *Image) Attach() error { return Command("mount", "-o", "loop", im.Path, im.Mount) }

// Device is the number of the image's block device, as "major:minor".
func (im *Image) Device() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(mounts)) {
		if f := strings.Fields(line); len(f) > 4 && f[4] == im.Mount {
			return f[2], nil
		}
	}
	return "", fmt.Errorf("fault: %s is not mounted", im.Mount)
}
