package sinks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	v1 "edgeloop/api/edgeloop/v1"
	"edgeloop/client"
)

// stream is a service that reads the log by gRPC, as package client does it, in this process.
type stream struct {
	// Immutable after construction.
	target *target
	addr   string

	// Owned by the run's goroutine.
	stop  context.CancelFunc // nil: it does not read
	ended chan error

	mu sync.Mutex
	// Guarded by mu.
	last    uint64 // position of the record that came last
	watched bool
	late    []float64
}

// reader is the name under which it reads.
const reader = "bench"

func newStream(t *target, addr string) *stream { return &stream{target: t, addr: addr} }

// place is it as others are.
func (s *stream) place() place {
	return place{
		flags: []string{"--grpc-listen=" + s.addr},
		pause: s.end, down: s.end, resume: s.begin, up: s.begin, newest: s.seek, lag: s.lag, arrivals: s.arrivals,
		forget: func() {}, close: func() { _ = s.end(context.Background()) }, // the node is gone, or going
	}
}

func (s *stream) client() (*client.Client, error) {
	token, err := s.target.node.Token()
	if err != nil {
		return nil, err
	}
	return client.New(client.Config{Address: s.addr, Token: token})
}

// begin reads until end.
func (s *stream) begin(ctx context.Context) error {
	if s.stop != nil {
		return nil
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	reading, stop := context.WithCancel(ctx)
	s.stop, s.ended = stop, make(chan error, 1)
	go func() {
		err := c.Read(reading, &v1.Open{Reader: reader}, s.take)
		s.ended <- errors.Join(err, c.Close())
	}()
	return nil
}

// end stops reading, and waits until the place is kept.
func (s *stream) end(context.Context) error {
	if s.stop == nil {
		return nil
	}
	s.stop()
	s.stop = nil
	if err := <-s.ended; !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// take has what comes.
func (s *stream) take(_ context.Context, records []*v1.Record) error {
	at := float64(time.Now().UnixMicro()) / 1e3
	last, err := number(records[len(records)-1].GetPosition())
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = last
	if s.watched {
		for _, r := range records {
			s.late = append(s.late, at-float64(r.GetDeviceTime()))
		}
	}
	return nil
}

// number is that of a position.
func number(position string) (uint64, error) {
	return strconv.ParseUint(position[strings.LastIndexByte(position, '-')+1:], 10, 64)
}

// seek has it go on with what comes.
func (s *stream) seek(ctx context.Context) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	defer c.Close() //nolint:errcheck // it has answered
	answer, err := c.Log().Seek(ctx, &v1.SeekRequest{Reader: reader, To: &v1.SeekRequest_Start{Start: v1.Start_START_NEWEST}})
	if err != nil {
		return err
	}
	last, err := number(answer.GetPosition())
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = last
	return err
}

// appended counts what a node has stored since its start, and positions count what a log has: a
// new one.
const appended = "edgeloop_backbone_appended_records_total "

func (s *stream) lag(ctx context.Context) (uint64, error) {
	status, page, err := s.target.node.Call(ctx, "GET", "/metrics", nil)
	if err == nil && status != 200 {
		err = fmt.Errorf("bench: metrics: status %d", status)
	}
	if err != nil {
		return 0, err
	}
	_, rest, found := bytes.Cut(page, []byte("\n"+appended))
	text, _, _ := strings.Cut(string(rest), "\n")
	all, err := strconv.ParseFloat(text, 64)
	if !found || err != nil {
		return 0, errors.Join(errors.New("bench: the node does not say how many records it has"), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return uint64(all) - min(uint64(all), s.last), nil
}

func (s *stream) arrivals(context.Context) func() (Latency, error) {
	s.watch(true)
	return func() (Latency, error) { return sum(s.watch(false)), nil }
}

// watch writes down, or not, how late records are from now on, and gives what was written down.
func (s *stream) watch(on bool) (late []float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	late, s.late, s.watched = s.late, nil, on
	return late
}
