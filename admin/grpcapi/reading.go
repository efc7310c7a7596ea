package grpcapi

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin/api"
	v1 "edgeloop/api/edgeloop/v1"
	"edgeloop/backbone/reader"
	"edgeloop/backbone/store"
)

// reading is one call of Log.Read.
type reading struct {
	// Immutable once it is served.
	s      *Server
	stream v1.Log_ReadServer // Send: the handler alone. Recv: receive alone
	end    context.CancelCauseFunc
	out    *outbox
	reader Reader
	tenant string // of the records that it gives; "": all
	log    string // the identity of the log

	opened chan *v1.Open // the one that came first
	ack    chan struct{} // a place of one: there is something to keep
	tell   chan struct{} // a place of one: there is something to say of what is kept
	done   chan struct{} // closed when the client acknowledges nothing any more

	mu sync.Mutex
	// Guarded by mu.
	given uint64 // the highest position that the client was sent
	acked uint64 // what it acknowledged
	kept  uint64
	began uint64 // where its place was
}

// errDone ends a reading as its client wishes.
var errDone = errors.New("the client is done")

// overEvery is how often the place moves over records that the client does not want.
const overEvery = time.Second

// receive hears the client, until it is done or the call has ended.
func (r *reading) receive() {
	for open := false; ; open = true {
		in, err := r.stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			close(r.done)
			return
		case err != nil:
			r.end(context.Canceled)
			return
		case (in.GetOpen() != nil) == open:
			r.end(invalid("request", "the first request is an Open, and each further one is an Ack"))
			return
		case !open:
			r.opened <- in.GetOpen()
			continue
		}
		if err := r.acknowledge(in.GetAck().GetPosition()); err != nil {
			r.end(err)
			return
		}
	}
}

// acknowledge notes what the client is done with.
func (r *reading) acknowledge(text string) error {
	p, err := api.ParsePosition(text)
	if err != nil {
		return invalid("position", fmt.Sprintf("%.80q is not a position: acknowledge one that a record had", text))
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.N > r.given || p.Log != r.log {
		return invalid("position", fmt.Sprintf("%s was not given by this call, which has come to %s: acknowledge a record that it gave", p, api.Position{Log: r.log, N: r.given}))
	}
	r.acked = max(r.acked, p.N)
	signal(r.ack)
	return nil
}

// serve gives records until ctx ends, whose cause it returns, or the client is done.
func (r *reading) serve(ctx context.Context) error {
	at := r.reader.Place()
	r.mu.Lock()
	r.log, r.given, r.acked, r.kept, r.began = at.Log, at.Position, at.Position, at.Position, at.Position
	r.mu.Unlock()
	ctx, cancel := context.WithCancelCause(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		err := r.reader.Read(ctx, func(e reader.Entry) error { return r.put(ctx, e) })
		cancel(err)
	})
	wg.Go(func() { cancel(r.keep(ctx)) })
	err := r.send(ctx)
	cancel(err)
	wg.Wait()
	if errors.Is(err, errDone) {
		return nil
	}
	return err
}

// moved is from where to where the client's acknowledgements have moved its place.
func (r *reading) moved() (from, to string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.position(r.began), r.position(r.kept)
}

// put takes one entry of the log.
func (r *reading) put(ctx context.Context, e reader.Entry) error {
	rec, err := record(e.Line, r.tenant)
	switch {
	case err != nil: // never silent: it is told as missed
		r.s.log.Error("a record was left out of a reading", zap.Uint64("position", e.Position), zap.Error(err))
		r.out.pass(e.Position, e.Missed+1)
		return nil
	case rec == nil:
		r.out.pass(e.Position, e.Missed)
		return nil
	}
	rec.Position = r.position(e.Position)
	return r.out.put(ctx, e.Position, e.Missed, rec)
}

func (r *reading) position(n uint64) string { return api.Position{Log: r.log, N: n}.String() }

// send is all that is sent.
func (r *reading) send(ctx context.Context) error {
	said := r.reader.Place().Position
	err := r.stream.Send(&v1.ReadResponse{Response: &v1.ReadResponse_Opened{Opened: &v1.Opened{Position: r.position(said)}}})
	for err == nil {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.out.ready:
			err = r.sendRecords()
		case <-r.tell:
			r.mu.Lock()
			kept := r.kept
			r.mu.Unlock()
			err = r.stream.Send(&v1.ReadResponse{Response: &v1.ReadResponse_Acked{Acked: &v1.Acked{Position: r.position(kept)}}})
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (r *reading) sendRecords() error {
	records, last := r.out.take()
	if len(records) == 0 {
		return nil
	}
	r.mu.Lock()
	r.given = last // before it is sent: the client may be quick
	r.mu.Unlock()
	err := r.stream.Send(&v1.ReadResponse{Response: &v1.ReadResponse_Records{Records: &v1.Records{Records: records}}})
	if err == nil {
		r.s.counts.records.Add(uint64(len(records)))
	}
	return err
}

// keep moves the place to what the client acknowledges, and over what it does not want.
func (r *reading) keep(ctx context.Context) error {
	over, look := time.NewTicker(overEvery), time.NewTicker(r.s.cfg.LookEvery)
	defer over.Stop()
	defer look.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-r.ack:
			err = r.keepAcked(ctx)
		case <-r.done:
			if err = r.keepAcked(ctx); err == nil {
				err = errDone
			}
		case <-over.C:
			err = r.keepOver(ctx)
		case <-look.C:
			err = r.look(ctx)
		}
		if err != nil {
			return err
		}
	}
}

func (r *reading) keepAcked(ctx context.Context) error {
	r.mu.Lock()
	to := r.acked
	r.mu.Unlock()
	if err := r.reader.Keep(ctx, to); err != nil {
		return err
	}
	r.mu.Lock()
	r.kept = max(r.kept, to)
	r.mu.Unlock()
	signal(r.tell)
	return nil
}

// keepOver moves the place over records that the client does not want, once it is done with
// those before.
func (r *reading) keepOver(ctx context.Context) error {
	r.mu.Lock()
	acked, kept := r.acked, r.kept
	r.mu.Unlock()
	to := r.out.over(acked)
	if acked != kept || to <= kept {
		return nil
	}
	return r.reader.Keep(ctx, to)
}

// look sees whether the reader was opened elsewhere. That nobody can be asked now is no
// reason to end.
func (r *reading) look(ctx context.Context) error {
	err := r.reader.Check(ctx)
	if errors.Is(err, store.ErrTaken) {
		return err
	}
	return nil
}
