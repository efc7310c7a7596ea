package sinks

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"sync"
	"time"

	"edgeloop/bench/fault/outlets"
	"edgeloop/internal/pause"
)

// come is how late records come to an outlet from now on, as far as their devices said when they
// sent them. Call what it returns to read that.
func come(ctx context.Context, o outlets.Outlet) (read func() (Latency, error)) {
	switch o := o.(type) {
	case *outlets.Files:
		return watch(ctx, func(ctx context.Context) ([]float64, error) { return follow(ctx, o.Growing()) })
	case *outlets.Kafka:
		return watch(ctx, func(ctx context.Context) (late []float64, err error) {
			err = o.Follow(ctx, func(line []byte) error {
				ms, err := lateness(time.Now(), line)
				late = append(late, ms)
				return err
			})
			return late, err
		})
	}
	since := time.Now()
	return func() (Latency, error) {
		var late []float64
		err := o.Read(ctx, func(at time.Time, line []byte) error {
			if at.Before(since) {
				return nil
			}
			ms, err := lateness(at, line)
			late = append(late, ms)
			return err
		})
		return sum(late), err
	}
}

// lateness is the time from a device to its record's arrival, in milliseconds.
func lateness(at time.Time, line []byte) (float64, error) {
	var r struct{ TS int64 }
	err := json.Unmarshal(line, &r)
	return float64(at.UnixMicro())/1e3 - float64(r.TS), err
}

func sum(late []float64) Latency {
	if len(late) == 0 {
		return Latency{}
	}
	slices.Sort(late)
	at := func(q int) float64 { return late[(len(late)-1)*q/100] }
	return Latency{Records: len(late), P50: at(50), P99: at(99)}
}

// watch has somebody see what comes until it is read.
func watch(ctx context.Context, see func(ctx context.Context) ([]float64, error)) (read func() (Latency, error)) {
	ctx, stop := context.WithCancel(ctx)
	var late []float64
	var failed error
	var wg sync.WaitGroup
	wg.Go(func() { late, failed = see(ctx) })
	return func() (Latency, error) {
		stop()
		wg.Wait()
		return sum(late), failed
	}
}

// follow looks every millisecond how far a file has grown. What it sees is written, and synced
// soon after.
func follow(ctx context.Context, path string) (late []float64, err error) {
	file, err := os.Open(path)
	for errors.Is(err, fs.ErrNotExist) && pause.For(ctx, time.Millisecond) == nil {
		file, err = os.Open(path)
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	end, err := file.Seek(0, io.SeekEnd)
	if err == nil && end > 0 { // it may be just growing: what is left of that line is passed over
		_, err = file.Seek(end-1, io.SeekStart)
	}
	if err != nil {
		return nil, err
	}
	in, line, passed := bufio.NewReaderSize(file, 1<<20), []byte(nil), end == 0
	for pause.For(ctx, time.Millisecond) == nil {
		for at := time.Now(); ; {
			part, err := in.ReadSlice('\n')
			line = append(line, part...)
			if err != nil {
				break // the end, for now
			}
			if !passed {
				passed, line = true, line[:0]
				continue
			}
			ms, err := lateness(at, line)
			if err != nil {
				return late, err
			}
			late, line = append(late, ms), line[:0]
		}
	}
	return late, nil
}
