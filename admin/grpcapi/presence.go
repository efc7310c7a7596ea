package grpcapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"google.golang.org/grpc/codes"

	"edgeloop/admin/api"
	v1 "edgeloop/api/edgeloop/v1"
)

// presence is edgeloop.v1.Presence.
type presence struct {
	v1.UnimplementedPresenceServer

	// Immutable after construction.
	s *Server
}

// of is the tenant that a call gets, checked; "": all.
func (p *presence) of(ctx context.Context, asked string) (string, error) {
	if asked != "" {
		if err := p.s.checkName("tenant", asked); err != nil {
			return "", err
		}
	}
	return callOf(ctx).tenant(asked)
}

// List implements v1.PresenceServer.
func (p *presence) List(ctx context.Context, q *v1.ListDevicesRequest) (*v1.ListDevicesResponse, error) {
	tenant, err := p.of(ctx, q.GetTenant())
	if err != nil {
		return nil, err
	}
	limit := cmp.Or(q.GetLimit(), api.DefaultPage)
	if limit > api.MaxPage {
		return nil, invalid("limit", fmt.Sprintf("limit is %d: give 1 to %d", limit, api.MaxPage))
	}
	page, err := p.s.node.Devices.Devices(api.DeviceQuery{
		Tenant: tenant, Prefix: q.GetPrefix(), Online: q.Online, Limit: int(limit), After: q.GetAfter(),
	})
	if err != nil {
		return nil, err
	}
	out := &v1.ListDevicesResponse{Next: page.Next}
	for i := range page.Devices {
		d := &page.Devices[i]
		out.Devices = append(out.Devices, &v1.DevicePresence{Tenant: d.Tenant, Device: d.Device, Epoch: d.Epoch, Online: d.Online, At: d.LastSeen.UnixMilli()})
	}
	return out, nil
}

// errBehind ends a watch.
var errBehind = errors.New("the watcher fell behind")

// Watch implements v1.PresenceServer.
func (p *presence) Watch(q *v1.WatchRequest, stream v1.Presence_WatchServer) error {
	tenant, err := p.of(stream.Context(), q.GetTenant())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	l := newLatest(p.s.cfg.WatchDevices)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel(nil)
	wg.Go(func() { cancel(p.s.node.Presence.Watch(ctx, l.of(tenant))) })
	for {
		select {
		case <-ctx.Done():
			return p.ended(ctx)
		case <-l.ready:
		}
		states, current := l.take()
		for i := range states {
			if err := stream.Send(&v1.WatchResponse{Response: &v1.WatchResponse_Device{Device: presenceOf(&states[i])}}); err != nil {
				return err
			}
		}
		if current {
			if err := stream.Send(&v1.WatchResponse{Response: &v1.WatchResponse_Current{Current: &v1.Current{}}}); err != nil {
				return err
			}
		}
	}
}

func (p *presence) ended(ctx context.Context) error {
	cause := context.Cause(ctx)
	if errors.Is(cause, errBehind) {
		p.s.counts.behind.Add(1)
		return refusal(codes.ResourceExhausted, "watcher-behind", fmt.Sprintf("the states of more than %d devices waited for this client: read faster, and watch again", p.s.cfg.WatchDevices))
	}
	return cause
}

func presenceOf(st *State) *v1.DevicePresence {
	return &v1.DevicePresence{Tenant: st.Tenant, Device: st.Device, Epoch: st.Epoch, Online: st.Online, Node: st.Node, At: st.At.UnixMilli()}
}

// latest holds the states that wait for one watcher, the last of each device, in the order
// in which the devices came.
type latest struct {
	// Immutable after construction.
	most  int
	ready chan struct{} // a place of one: there is something to take
	room  chan struct{} // a place of one: something was taken

	mu sync.Mutex
	// Guarded by mu.
	at      map[[2]string]int // by tenant and device: where in states
	states  []State
	current bool // those before are told of, behind states
	marked  bool
}

func newLatest(most int) *latest {
	return &latest{most: most, ready: make(chan struct{}, 1), room: make(chan struct{}, 1), at: map[[2]string]int{}}
}

// of is who watches a tenant; "": all.
func (l *latest) of(tenant string) Watch {
	wanted := func(st *State) bool { return tenant == "" || st.Tenant == tenant }
	return Watch{
		Known: func(ctx context.Context, st State) error {
			for wanted(&st) && !l.put(st) {
				select {
				case <-l.room:
				case <-ctx.Done():
					return context.Cause(ctx)
				}
			}
			return nil
		},
		Changed: func(st State) error {
			if wanted(&st) && !l.put(st) {
				return errBehind
			}
			return nil
		},
		Current: l.mark,
	}
}

// put takes a state, where there is room for it. A state of an older connection than
// one that waits is old news.
func (l *latest) put(st State) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := [2]string{st.Tenant, st.Device}
	if i, waits := l.at[key]; waits {
		if st.Epoch >= l.states[i].Epoch {
			l.states[i] = st
		}
		return true
	}
	if len(l.states) >= l.most {
		return false
	}
	l.at[key] = len(l.states)
	l.states = append(l.states, st)
	signal(l.ready)
	return true
}

// mark notes that all who are connected have been told of; once.
func (l *latest) mark() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.marked {
		l.current, l.marked = true, true
		signal(l.ready)
	}
}

// take returns what waits. current: the mark goes behind it. What changed before the mark
// was taken may come with those who are connected.
func (l *latest) take() (states []State, current bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	states, current = l.states, l.current
	l.states, l.at, l.current = nil, map[[2]string]int{}, false
	signal(l.room)
	return states, current
}
