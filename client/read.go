package client

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	v1 "edgeloop/api/edgeloop/v1"
)

// Read reads the log under the name that open gives, until ctx ends or fn fails, and returns
// the error of either. fn gets records in the order of the log; when it returns nil they are
// acknowledged, and the node keeps the place. Each record is given at least once: after a
// failure those that were not acknowledged come again, with the position that they had, and
// Read calls the node again by itself. What calling again does not mend is returned:
// ABORTED, another program has the reader; FAILED_PRECONDITION, its place is of another log;
// UNAUTHENTICATED, PERMISSION_DENIED, INVALID_ARGUMENT.
//
// The records belong to fn. When ctx ends, Read waits for at most 2 s until the node has
// kept the place of what fn was done with.
func (c *Client) Read(ctx context.Context, open *v1.Open, fn func(context.Context, []*v1.Record) error) error {
	var own userError
	for failures := 0; ; failures++ {
		got, err := c.read(ctx, open, fn)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &own):
			return own.error
		case !mends(err):
			return err
		case got:
			failures = 0
		}
		wait := time.NewTimer(delay(failures))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return ctx.Err()
		}
	}
}

// mends says whether it may help to call again.
func mends(err error) bool {
	switch status.Code(err) {
	case codes.OK, codes.Unavailable, codes.ResourceExhausted, codes.Internal, codes.Unknown, codes.DeadlineExceeded, codes.Canceled:
		return true
	}
	return false
}

// delay grows from 100 ms to 5 s, with full jitter.
func delay(failures int) time.Duration {
	most := min(100*time.Millisecond<<min(failures, 10), 5*time.Second)
	return rand.N(most) + 10*time.Millisecond
}

// userError is of the user's function.
type userError struct{ error }

// Unwrap gives the user's own error.
func (u userError) Unwrap() error { return u.error }

// lastWait is for the node to keep the place in the end.
const lastWait = 2 * time.Second

// read is one call. got: it was given records.
func (c *Client) read(ctx context.Context, open *v1.Open, fn func(context.Context, []*v1.Record) error) (got bool, err error) {
	within, cancel := context.WithCancel(context.WithoutCancel(ctx)) // the end of ctx ends it in good order
	defer cancel()
	stream, err := c.Log().Read(within)
	if err != nil {
		return false, err
	}
	in := receive(within, stream)
	if err := stream.Send(&v1.ReadRequest{Request: &v1.ReadRequest_Open{Open: open}}); err != nil {
		return false, reason(in, err)
	}
	for {
		var a arrival
		select {
		case <-ctx.Done():
			finish(stream, in)
			return got, ctx.Err()
		case a = <-in:
		}
		if a.err != nil {
			return got, a.err
		}
		records := a.answer.GetRecords().GetRecords()
		if len(records) == 0 {
			continue
		}
		got = true
		position := records[len(records)-1].GetPosition()
		if err := fn(ctx, records); err != nil {
			if ctx.Err() == nil {
				err = userError{err}
			}
			finish(stream, in)
			return got, err
		}
		if err := stream.Send(&v1.ReadRequest{Request: &v1.ReadRequest_Ack{Ack: &v1.Ack{Position: position}}}); err != nil {
			return got, reason(in, err)
		}
	}
}

// arrival is what the node sent.
type arrival struct {
	answer *v1.ReadResponse
	err    error
}

// receive hears the node until ctx ends.
func receive(ctx context.Context, stream v1.Log_ReadClient) <-chan arrival {
	in := make(chan arrival)
	go func() {
		for {
			answer, err := stream.Recv()
			select {
			case in <- arrival{answer, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return in
}

// finish has the node keep what was acknowledged.
func finish(stream v1.Log_ReadClient, in <-chan arrival) {
	if stream.CloseSend() != nil {
		return
	}
	late := time.NewTimer(lastWait)
	defer late.Stop()
	for {
		select {
		case a := <-in:
			if a.err != nil {
				return
			}
		case <-late.C:
			return
		}
	}
}

// reason is why nothing can be sent: that is told to who receives.
func reason(in <-chan arrival, err error) error {
	for errors.Is(err, io.EOF) {
		if a := <-in; a.err != nil {
			return a.err
		}
	}
	return err
}
