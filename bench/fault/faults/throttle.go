package faults

import (
	"fmt"
	"os"
	"path/filepath"
)

// Throttle is a control group whose writes to one device can be limited.
type Throttle struct {
	Group, Device string
	Version       int
}

// Set limits bytes and writes a second; 0 lifts the limit.
func (t *Throttle) Set(bytes, writes int) error {
	if t.Version == 2 {
		word := func(n int) string {
			if n == 0 {
				return "max"
			}
			return fmt.Sprint(n)
		}
		return os.WriteFile(filepath.Join(t.Group, "io.max"), fmt.Appendf(nil, "%s wbps=%s wiops=%s", t.Device, word(bytes), word(writes)), 0)
	}
	err := os.WriteFile(filepath.Join(t.Group, "blkio.throttle.write_bps_device"), fmt.Appendf(nil, "%s %d", t.Device, bytes), 0)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(t.Group, "blkio.throttle.write_iops_device"), fmt.Appendf(nil, "%s %d", t.Device, writes), 0)
}
