package admin_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"edgeloop/admin"
	"edgeloop/admin/api"
)

// endless is a log that never ends; it counts what was taken from it, and
// remembers the error with which the reader was given up.
type endless struct {
	size  int // bytes of a record, with its line break
	taken atomic.Int64
	ended chan error
}

func newEndless(size int) *endless { return &endless{size: size, ended: make(chan error, 1)} }

func (l *endless) tail(ctx context.Context, _ api.TailQuery, fn func(uint64, []byte) error) (err error) {
	defer func() {
		select {
		case l.ended <- err:
		default: // only the first end is of interest
		}
	}()
	pad := strings.Repeat("x", l.size-len(`{"seq":123456,"pad":""}`)-1)
	for i := uint64(100_000); i < 200_000; i++ {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := fn(i, fmt.Appendf(nil, `{"seq":%d,"pad":"%s"}`, i, pad)); err != nil {
			return err
		}
		l.taken.Add(1)
	}
	return errors.New("nobody stops the reading")
}

func slowConfig(c *admin.Config) {
	c.TailBuffer = 1000
	c.TailStall = 10 * time.Second
	c.TailHeartbeat = time.Hour
}

// wantDropped fails unless so many readers were counted as dropped.
func (b *bubble) wantDropped(n int) {
	b.t.Helper()
	res := b.open(b.t.Context(), "/metrics")
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	if want := fmt.Sprintf("\nedgeloop_admin_tails_dropped_total %d\n", n); !strings.Contains(string(all), want) {
		b.t.Errorf("the metrics do not say that %d readers were dropped", n)
	}
}

// Alice asks for the log and reads nothing. What is kept for her is bounded,
// and after the stall she is given up: the log is not read any further. When
// she looks again, she finds what was kept, without a hole, and why it ended.
func TestTail_SlowReaderIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, slowConfig)
		log := newEndless(100)
		f.log.TailFunc = log.tail
		b, stop := f.serve()
		defer stop()
		res := b.open(t.Context(), "/v1/tail", ndjson)
		defer res.Body.Close()

		start := time.Now()
		if err := <-log.ended; time.Since(start) != 10*time.Second {
			t.Errorf("given up after %s: %v", time.Since(start), err)
		}
		synctest.Wait()
		b.wantDropped(0)
		// net/http holds a little of its own in front of the buffer.
		if kept := log.taken.Load() * 100; kept > 1000+16<<10 {
			t.Errorf("%d bytes were kept for a reader that reads nothing", kept)
		}
		last, n := lastLine(t, res.Body)
		if !strings.HasPrefix(last, `{"end":"dropped"`) {
			t.Errorf("the last line is %s", last)
		}
		b.wantDropped(1)
		if int64(n-1) != log.taken.Load() {
			t.Errorf("%d records arrived of %d that were taken", n-1, log.taken.Load())
		}
	})
}

// Bob reads nothing ever again. His connection is cut, so that neither his
// place nor the node's stop hangs on him.
func TestTail_DeadReaderIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, slowConfig, func(c *admin.Config) { c.MaxTails = 1 })
		log := newEndless(100)
		f.log.TailFunc = log.tail
		b, stop := f.serve()
		defer stop()
		res := b.open(t.Context(), "/v1/tail", ndjson)
		defer res.Body.Close()
		time.Sleep(3*10*time.Second + time.Second)
		synctest.Wait()
		other := b.open(t.Context(), "/v1/tail?follow=false", ndjson)
		defer other.Body.Close()
		if other.StatusCode != 200 {
			t.Errorf("his place is not free: status %d", other.StatusCode)
		}
		_, _ = io.ReadFull(other.Body, make([]byte, 10))
		b.wantDropped(1)
	})
}

// Cathy reads slowly but steadily: one record each second. She is behind the
// log all the time and is never dropped.
func TestTail_SteadyReaderStays(t *testing.T) {
	const recordSize = 8 << 10 // larger than what net/http reads ahead
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, slowConfig, func(c *admin.Config) { c.TailBuffer = 3 * recordSize })
		log := newEndless(recordSize)
		f.log.TailFunc = log.tail
		b, stop := f.serve()
		defer stop()
		ctx, leave := context.WithCancel(t.Context())
		res := b.open(ctx, "/v1/tail", ndjson)
		record := make([]byte, recordSize)
		for range 600 {
			time.Sleep(time.Second)
			if _, err := io.ReadFull(res.Body, record); err != nil {
				t.Fatal(err)
			}
		}
		leave()
		res.Body.Close()
		synctest.Wait()
		b.wantDropped(0)
		select {
		case err := <-log.ended:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the reading ended with %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("the log is still being read")
		}
	})
}

// One slow reader changes nothing for a fast one.
func TestTail_SlowReaderCostsNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFakes(t, slowConfig)
		f.log.TailFunc = newEndless(100).tail
		b, stop := f.serve()
		defer stop()
		slow := b.open(t.Context(), "/v1/tail", ndjson)
		defer slow.Body.Close()
		synctest.Wait()
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		fast := b.open(ctx, "/v1/tail", ndjson)
		defer fast.Body.Close()
		start := time.Now()
		if _, err := io.ReadFull(fast.Body, make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("a fast reader beside a slow one took %s", took)
		}
	})
}
