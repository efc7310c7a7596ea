package uplog

import (
	"cmp"
	"errors"
	"fmt"
	"syscall"

	"go.uber.org/zap"

	"edgeloop/backbone/servers"
)

// chain writes the log of the embedded server, of which it is the only writer.
//
// It stores records one after the other by a call of the server, and looks after each
// where the log ends: a record is only stored where all before it are. Sending records
// again is safe, whatever became of them: where the log ends says which of them are
// there already. Exactly once and in order need nothing else. What is in the log is
// then synced, once for the batch.
//
// An atomic batch of the server would do the same, but it stages its messages in
// files of its own, which costs 4 ms of CPU for a batch of any size; a chain of
// a few records takes 0.2 ms. docs/decisions has the figures (12 and 35).
type chain struct {
	// Immutable after construction.
	open   func() (last uint64, err error) // finds the stream, and where it ends
	put    func(subject string, line []byte) (last uint64, err error)
	sync   func(atLeast int64) error // returns when that many new bytes of the log are on the disk
	mark   func(last uint64)         // notes how far the log is durable, before anybody hears of it
	reopen func() error              // opens the store again
	log    *zap.Logger
	count  *counters

	// Owned by the committer goroutine.
	ends    *endIndex
	tenants *tenantBytes
	head    *frontier // the log's last sequence, as far as it is durable
	failing int       // how often in a row the store failed, in the count of noteAttempt
	broken  error     // set once: nothing can be made durable any more
}

// ErrDisk says that the log cannot be trusted to be on the disk: a sync failed,
// or records that had been confirmed are missing. What the system then shows as
// written need not be there, so nothing is confirmed any more until somebody has
// looked at the disk and started the node again.
var ErrDisk = errors.New("backbone: the disk failed")

func (c *chain) store(_ string, _ int, items []item) (int, error) {
	if c.broken != nil {
		return 0, c.broken
	}
	if err := c.reopenIfFailing(); err != nil {
		return 0, err
	}
	n, cause := c.write(items)
	c.noteAttempt(n, cause)
	if n == 0 {
		return 0, cause
	}
	if err := c.sync(bytesOf(items[:n])); noDescriptors(err) {
		return 0, err // the disk was not asked: the next attempt finds the records stored, and syncs again
	} else if err != nil {
		c.broken = fmt.Errorf("%w: %w", ErrDisk, err)
		return 0, c.broken
	}
	c.ends.noteAll(items[:n], c.head.Position())
	c.tenants.noteAll(items[:n], c.head.Position())
	placeAll(items[:n], c.head.Position())
	c.head.move(c.head.Position() + uint64(n))
	c.mark(c.head.Position())
	return n, nil
}

// placeAll tells each Placer where its record lies, once that is durable: the records follow each
// other behind head. It is called before anybody hears that the log is durable up to there.
func placeAll(items []item, head uint64) {
	for i := range items {
		if it := &items[i]; it.retain {
			if to, ok := it.done.(Placer); ok {
				to.Placed(head+uint64(i)+1, it.line)
			}
		}
	}
}

// write stores items behind the head, but for those an attempt before this one has
// stored. It returns how many are in the log, and why not all.
func (c *chain) write(items []item) (n int, cause error) {
	last, err := c.open()
	if err != nil {
		return 0, err
	}
	if n, err = c.stored(last, len(items)); err != nil {
		return 0, err
	}
	for ; n < len(items); n++ {
		last, cause = c.put(items[n].subject, items[n].line)
		if is, err := c.stored(last, len(items)); err != nil {
			return 0, err
		} else if is != n+1 {
			return is, cmp.Or(cause, errNotTaken)
		}
		if cause != nil {
			return n, cause // looks stored, but the store says it failed
		}
	}
	return n, nil
}

// errNotTaken is for a record that the server dropped without an error: its stream is
// being closed.
var errNotTaken = errors.New("the log did not take a record")

// stored says how many of count records behind the head a log holds that ends at last.
func (c *chain) stored(last uint64, count int) (int, error) {
	head := c.head.Position()
	switch {
	case last < head:
		c.broken = fmt.Errorf("%w: the log ends at %d, %d had been confirmed", ErrDisk, last, head)
		return 0, c.broken
	case last > head+uint64(count):
		c.broken = fmt.Errorf("%w: the log ends at %d, %d was written here", ErrDisk, last, head+uint64(count))
		return 0, c.broken
	}
	return int(last - head), nil
}

// noteAttempt counts failures that may be cured by opening the store again. While there is no
// server, somebody else is most likely opening it, so such a failure counts less.
func (c *chain) noteAttempt(stored int, cause error) {
	switch {
	case stored > 0, errors.Is(cause, servers.ErrFull):
		c.failing = 0
	case errors.Is(cause, servers.ErrDown):
		c.failing++
	default:
		c.failing += failed
	}
}

// failed is what a store that fails counts, against 1 for none.
const failed = 4

func (c *chain) reopenIfFailing() error {
	if c.failing < servers.ReopenAfter*failed {
		return nil
	}
	c.log.Warn("the log does not take records, opening it again")
	c.count.reopened.Add(1)
	if err := c.reopen(); err != nil {
		return err
	}
	c.failing = 0
	return nil
}

// noDescriptors says that err is this process's want of descriptors, which says
// nothing about the disk and passes.
func noDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

func bytesOf(items []item) (n int64) {
	for i := range items {
		n += int64(len(items[i].subject) + len(items[i].line))
	}
	return n
}
