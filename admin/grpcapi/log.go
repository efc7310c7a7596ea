package grpcapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc/codes"

	"edgeloop/admin/api"
	v1 "edgeloop/api/edgeloop/v1"
	"edgeloop/backbone/reader"
	"edgeloop/backbone/store"
)

// logService is edgeloop.v1.Log.
type logService struct {
	v1.UnimplementedLogServer

	// Immutable after construction.
	s    *Server
	turn chan struct{} // capacity 1: held by who opens or moves a reader

	mu sync.Mutex
	// Guarded by mu.
	open map[string]*reading // by the name of the place
}

func newLogService(s *Server) *logService {
	return &logService{s: s, turn: make(chan struct{}, 1), open: map[string]*reading{}}
}

const maxReader = 64

// placeName is under which name the place of a reader is kept. Sinks have a prefix of their
// own, and no name has a slash: no two readers share a place.
func placeName(tenant, name string) string { return servicePrefix + tenant + "/" + name }

const servicePrefix = "service:"

// PlaceOf is the name of the place of a reader of a tenant.
func PlaceOf(tenant, name string) string { return placeName(tenant, name) }

// ReaderOf undoes PlaceOf; false: the place is of something else.
func ReaderOf(place string) (tenant, name string, ok bool) {
	rest, is := strings.CutPrefix(place, servicePrefix)
	tenant, name, ok = strings.Cut(rest, "/")
	return tenant, name, is && ok
}

// ReaderPlace is how far a reader has come that is being read now.
type ReaderPlace struct {
	Tenant, Reader string
	Log            string
	Position       uint64
}

// Reading are the readers that are being read at this node. Any goroutine may call it.
func (s *Server) Reading() (all []ReaderPlace) {
	s.readers.mu.Lock()
	open := maps.Clone(s.readers.open)
	s.readers.mu.Unlock()
	for place, r := range open {
		tenant, name, _ := ReaderOf(place)
		r.mu.Lock()
		if r.log != "" { // it has begun
			all = append(all, ReaderPlace{tenant, name, r.log, r.kept})
		}
		r.mu.Unlock()
	}
	return all
}

// names checks the reader that a call asks for.
func (l *logService) names(c *call, askedTenant, name string) (tenant, place string, err error) {
	if err := l.s.checkName("reader", name); err != nil {
		return "", "", err
	}
	if len(name) > maxReader {
		return "", "", invalid("reader", fmt.Sprintf("the name of a reader has %d bytes: give 1 to %d", len(name), maxReader))
	}
	if askedTenant != "" {
		if err := l.s.checkName("tenant", askedTenant); err != nil {
			return "", "", err
		}
	}
	if tenant, err = c.tenant(askedTenant); err != nil {
		return "", "", err
	}
	c.note(zap.String("reader", name), zap.String("tenant", tenant))
	return tenant, placeName(tenant, name), nil
}

// checkName refuses what is no name.
func (s *Server) checkName(kind, name string) error {
	if err := s.cfg.CheckName(kind, name); err != nil {
		return invalid(kind, kind+" is not a name: "+err.Error())
	}
	return nil
}

// inTurn has do open or move a reader while nobody else does: of two calls that open one
// at the same time, the same one must win here and in the store.
func (l *logService) inTurn(ctx context.Context, do func() error) error {
	select {
	case l.turn <- struct{}{}:
		defer func() { <-l.turn }()
		return do()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// replace makes r the reading of a place, nil: there is none now, and ends the one before.
func (l *logService) replace(place string, r *reading) {
	l.mu.Lock()
	before := l.open[place]
	if r != nil {
		l.open[place] = r
	} else {
		delete(l.open, place)
	}
	l.mu.Unlock()
	if before != nil {
		before.end(store.ErrTaken)
	}
}

// forget is for a reading that has ended.
func (l *logService) forget(place string, r *reading) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.open[place] == r {
		delete(l.open, place)
	}
}

func startOf(s v1.Start) (reader.Start, error) {
	switch s {
	case v1.Start_START_UNSPECIFIED, v1.Start_START_OLDEST:
		return reader.Oldest, nil
	case v1.Start_START_NEWEST:
		return reader.Newest, nil
	}
	return 0, invalid("start", fmt.Sprintf("start %d is not known: give START_OLDEST or START_NEWEST", s))
}

// openMost is how long a call may take to say which reader it wants.
const openMost = 10 * time.Second

// Read implements v1.LogServer.
func (l *logService) Read(stream v1.Log_ReadServer) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	r := &reading{
		s: l.s, stream: stream, end: cancel, out: newOutbox(l.s.cfg.Outbox),
		opened: make(chan *v1.Open, 1), ack: make(chan struct{}, 1), tell: make(chan struct{}, 1), done: make(chan struct{}),
	}
	go r.receive()
	late := time.NewTimer(openMost)
	defer late.Stop()
	var open *v1.Open
	select {
	case open = <-r.opened:
	case <-late.C:
		return invalid("open", "no Open came within 10 s: send it first")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	c := callOf(ctx)
	start, err := startOf(open.GetStart())
	if err != nil {
		return err
	}
	var place string
	if r.tenant, place, err = l.names(c, open.GetTenant(), open.GetReader()); err != nil {
		return err
	}
	err = l.inTurn(ctx, func() (err error) {
		if err := l.room(ctx, r.tenant, place); err != nil {
			return err
		}
		if r.reader, err = l.s.node.Readers.Open(ctx, place, start); err == nil {
			l.replace(place, r)
		}
		return err
	})
	if err != nil {
		return err
	}
	defer l.forget(place, r)
	l.s.audit(c, nil)
	err = r.serve(ctx)
	if from, to := r.moved(); from != to {
		l.s.auditLine(c, "acknowledge", nil, zap.String("from", from), zap.String("to", to))
	}
	if errors.Is(err, store.ErrTaken) {
		l.s.counts.taken.Add(1)
	}
	return err
}

// Seek implements v1.LogServer.
func (l *logService) Seek(ctx context.Context, q *v1.SeekRequest) (*v1.SeekResponse, error) {
	tenant, place, err := l.names(callOf(ctx), q.GetTenant(), q.GetReader())
	if err != nil {
		return nil, err
	}
	var to api.Position
	switch q.GetTo().(type) {
	case *v1.SeekRequest_Behind:
		if to, err = api.ParsePosition(q.GetBehind()); err != nil {
			return nil, invalid("behind", fmt.Sprintf("%.80q is not a position: give one that a record had, LOG-N", q.GetBehind()))
		}
	case *v1.SeekRequest_Start:
		start, err := startOf(q.GetStart())
		if err != nil {
			return nil, err
		}
		edge, err := l.s.node.Readers.Edge(ctx, start)
		if err != nil {
			return nil, err
		}
		to = api.Position{Log: edge.Log, N: edge.Position}
	default:
		return nil, invalid("to", "it is not said where to: give behind, a position, or start")
	}
	callOf(ctx).note(zap.Stringer("to", to))
	err = l.inTurn(ctx, func() error {
		if err := l.room(ctx, tenant, place); err != nil {
			return err
		}
		err := l.s.node.Readers.Seek(ctx, place, to.Log, to.N)
		if err == nil {
			l.replace(place, nil)
		}
		return err
	})
	var beyond *reader.PositionError
	if errors.As(err, &beyond) {
		return nil, refusal(codes.OutOfRange, "other-log", fmt.Sprintf("%s is not a position of this log: %v; give one that it gave, or start", to, beyond))
	}
	if err != nil {
		return nil, err
	}
	return &v1.SeekResponse{Position: to.String()}, nil
}
