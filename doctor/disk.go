package doctor

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	syncCount = 64
	syncLimit = 2 * time.Second
	// slowSync makes an acknowledgement take so long that a person notices.
	slowSync = 100 * time.Millisecond
)

// diskFree limits how long the log lasts, not how many devices fit.
func (e *exam) diskFree() Check {
	c := Check{ID: "disk_free"}
	folder, bytes, err := e.root.Free(e.cfg.DataDir)
	if err != nil {
		return unread(c, err)
	}
	c.Value = size(bytes)
	perDevice := recordBytes * int64(logKept/messageEvery)
	c = e.carries(c, bytes/perDevice, "for a day of log: %s / (%d B * %s messages), one a minute",
		size(bytes), recordBytes, count(int64(logKept/messageEvery)))
	c.Note = "at " + folder
	if c.Verdict == Warn {
		c.Note += fmt.Sprintf("; with %s devices it is full in %s; before that, at half of the disk, the log drops its oldest records, unless --log-max-bytes says otherwise",
			count(e.want), strings.TrimSuffix(lasting(bytes, e.want*recordBytes).String(), "0s"))
	}
	c.Fix = &Remedy{
		Now:  fmt.Sprintf("edgeloop serve --log-max-bytes=%d", bytes/10*8),
		File: "the file given to --config",
		Line: fmt.Sprintf("log-max-bytes: %d", bytes/10*8),
	}
	return c
}

// lasting is how long bytes last when every messageEvery takes share of them.
func lasting(bytes, share int64) time.Duration {
	return (time.Duration(bytes/max(share, 1)) * messageEvery).Round(time.Minute)
}

// diskSync measures the syncs that the log waits for before it acknowledges.
func (e *exam) diskSync() Check {
	c := Check{ID: "disk_sync"}
	took, err := e.root.Sync(e.cfg.DataDir, syncCount, syncLimit)
	if err != nil {
		return unread(c, plain(err))
	}
	if len(took) == 0 {
		return unread(c, fmt.Errorf("no sync ended within %s", syncLimit))
	}
	slices.Sort(took)
	p50, p99 := percentile(took, 50), percentile(took, 99)
	c.Value = fmt.Sprintf("p50 %s, p99 %s", short(p50), short(p99))
	synced := int64(batchMessages / p50.Seconds())
	cores := int64(e.root.Cores()) * coreMessages
	c = e.carries(c, min(synced, cores)*int64(messageEvery/time.Second),
		"at one message a minute: the lesser of %s a sync / %s and %d cores * %s/s, * 60 s (%d syncs measured)",
		count(batchMessages), short(p50), e.root.Cores(), count(coreMessages), len(took))
	if p99 > slowSync {
		c.Verdict, c.Note = Warn, "acknowledgements wait this long for the disk"
	}
	if c.Verdict == Warn {
		c.Fix = &Remedy{
			Now:  "edgeloop serve --data-dir=DIRECTORY_ON_A_FASTER_DISK",
			File: "the file given to --config",
			Line: "data-dir: DIRECTORY_ON_A_FASTER_DISK",
		}
	}
	return c
}

// percentile returns the p-th percentile of sorted values, by nearest rank.
func percentile(sorted []time.Duration, p int) time.Duration {
	return max(sorted[(len(sorted)*p+99)/100-1], time.Nanosecond)
}
