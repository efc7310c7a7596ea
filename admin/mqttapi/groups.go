package mqttapi

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone/reader"
	"edgeloop/backbone/store"
	"edgeloop/mqttproto"
)

// groupPrefix begins the names of the places of groups: TENANT/GROUP/FILTER follows.
const groupPrefix = "mqttshare:"

// maxShare is the longest GROUP/FILTER, bytes: the name of a place has 256, and that of a tenant
// 128.
const maxShare = 100

func groupPlace(tenant, share string) string { return groupPrefix + tenant + "/" + share }

// isShare says whether a filter is that of a shared subscription, and which one.
func isShare(filter string) (share string, is bool) {
	return strings.CutPrefix(filter, mqttproto.SharePrefix)
}

// errGroups: as many groups as a tenant may have.
var errGroups = errors.New("the limit of kept groups is reached")

// joinGroup makes a client a member of the group of a shared filter, which is made if there is
// none. errGroups, or what the log says.
func (s *Server) joinGroup(ctx context.Context, c *client, filter string, sub *subscription) error {
	share, _ := isShare(filter)
	for {
		g, ours := s.groupOf(c.tenant, share)
		if ours {
			s.openGroup(ctx, g, c, sub)
		} else if !await(ctx, g.ready) {
			return context.Cause(ctx)
		}
		if g.failed != nil {
			return g.failed
		}
		if ours || g.join(c, sub) {
			c.addGroup(g)
			signal(g.room) // what was acknowledged before did not
			return nil
		}
		if !await(ctx, g.gone) {
			return context.Cause(ctx)
		}
	}
}

// await waits until c is closed; false: ctx ended before.
func await(ctx context.Context, c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	case <-ctx.Done():
		return false
	}
}

// groupOf is the group of that name; ours: it is new, and to be opened by the caller.
func (s *Server) groupOf(tenant, share string) (g *group, ours bool) {
	name := groupPlace(tenant, share)
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.groups[name]; g != nil {
		return g, false
	}
	_, filter, _ := strings.Cut(share, "/")
	g = &group{
		s: s, tenant: tenant, share: share, filter: filter, name: name, seed: maphash.MakeSeed(),
		ready: make(chan struct{}), done: make(chan struct{}), gone: make(chan struct{}),
		room: make(chan struct{}, 1), moved: make(chan struct{}, 1), again: make(chan struct{}, 1),
	}
	g.ctx, g.end = context.WithCancel(context.Background())
	s.groups[name] = g
	return g, true
}

// openGroup opens the reader of a new group, makes a client its first member, which ends the group
// when it leaves, and begins to read.
func (s *Server) openGroup(ctx context.Context, g *group, c *client, sub *subscription) {
	defer close(g.ready)
	if g.failed = s.guarded(func() error { return s.openReader(ctx, g) }); g.failed != nil {
		close(g.done)
		s.dropGroup(g)
		return
	}
	g.join(c, sub) // the first: nobody else may before it is ready
	go g.run()
}

func (s *Server) openReader(ctx context.Context, g *group) error {
	if err := s.roomForGroup(ctx, g); err != nil {
		return err
	}
	r, err := s.cfg.Log.Open(ctx, g.name, reader.Newest)
	var other *reader.PositionError
	if errors.As(err, &other) { // the log is not the one that the group was of
		if err = s.cfg.Log.Forget(ctx, g.name); err == nil {
			r, err = s.cfg.Log.Open(ctx, g.name, reader.Newest)
		}
	}
	if err != nil {
		return err //nolint:wrapcheck // the log says what it could not do
	}
	g.reader, g.log, g.head = r, r.Place().Log, r.Place().Position
	return nil
}

// roomForGroup returns errGroups where a new group is one too many.
func (s *Server) roomForGroup(ctx context.Context, g *group) error {
	names := map[string]bool{}
	s.mu.Lock()
	for name := range s.groups {
		names[name] = true
	}
	s.mu.Unlock()
	known := false
	err := s.cfg.Log.Places(ctx, func(name string, _ store.Place) {
		known = known || name == g.name
		if strings.HasPrefix(name, groupPrefix) {
			names[name] = true
		}
	})
	ofTenant := 0
	for name := range names {
		if strings.HasPrefix(name, groupPlace(g.tenant, "")) {
			ofTenant++
		}
	}
	if err == nil && !known && (ofTenant > s.cfg.MaxTenantGroups || len(names) > s.cfg.MaxGroups) { // itself is one of them
		s.counts.refused[refusedGroups].Add(1)
		return errGroups
	}
	return err //nolint:wrapcheck // the log says what it could not do
}

// leaveGroup takes a client out of a group. The last one ends it, and has its place forgotten
// where no session that is kept has it. That of a group which has failed is left to its next one,
// or the sweeper.
func (s *Server) leaveGroup(c *client, g *group) {
	c.dropGroup(g)
	last, over := g.leave(c)
	if last {
		g.end()
	}
	if over {
		<-g.done
	}
	if !last {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveMost)
	defer cancel()
	wanted, err := s.wantedGroups(ctx)
	if err == nil && !wanted[g.name] {
		err = s.cfg.Log.Forget(ctx, g.name)
	}
	if err != nil {
		s.log.Warn("cannot look after the place of a group of applications, it may stay for a while", zap.String("group", g.name), zap.Error(err))
	}
	s.dropGroup(g)
}

// leaveGroups takes a client out of all.
func (s *Server) leaveGroups(c *client) {
	for _, g := range c.inGroups() {
		s.leaveGroup(c, g)
	}
}

// dropGroup has the next member make another group of that name.
func (s *Server) dropGroup(g *group) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.groups, g.name)
	close(g.gone)
}

// wantedGroups are the places of the groups that sessions have which are kept, or taken up now.
func (s *Server) wantedGroups(ctx context.Context) (map[string]bool, error) {
	wanted := map[string]bool{}
	err := s.cfg.Log.Places(ctx, func(name string, at store.Place) {
		tenant, _, is := SessionOf(name)
		kept, ok := readSession(at.Note)
		if !is || !ok || kept.over(time.Now(), s.started) && !s.here(name) {
			return
		}
		for filter := range kept.Subs {
			if share, is := isShare(filter); is {
				wanted[groupPlace(tenant, share)] = true
			}
		}
	})
	return wanted, err //nolint:wrapcheck // the log says what it could not do
}

// here says whether a client has the session of that name.
func (s *Server) here(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clients[name] != nil
}

// sweepGroups forgets the places of groups that nobody has.
func (s *Server) sweepGroups(ctx context.Context) error {
	var all []string
	err := s.cfg.Log.Places(ctx, func(name string, _ store.Place) {
		if strings.HasPrefix(name, groupPrefix) {
			all = append(all, name)
		}
	})
	if err != nil || len(all) == 0 {
		return err //nolint:wrapcheck // the log says what it could not do
	}
	wanted, err := s.wantedGroups(ctx)
	if err != nil {
		return err
	}
	held := s.holdGroups(slices.DeleteFunc(all, func(name string) bool { return wanted[name] }))
	defer func() {
		for _, g := range held {
			s.dropGroup(g)
		}
	}()
	if len(held) > 0 { // what is wanted since then, too
		wanted, err = s.wantedGroups(ctx)
	}
	for _, g := range held {
		if err == nil && !wanted[g.name] {
			err = s.cfg.Log.Forget(ctx, g.name)
		}
	}
	return err //nolint:wrapcheck // as above
}

// holdGroups has whoever wants a group of one of these names wait, until dropGroup; those that are
// here are left out.
func (s *Server) holdGroups(names []string) (held []*group) {
	ready := make(chan struct{})
	close(ready)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, name := range names {
		if s.groups[name] == nil {
			g := &group{name: name, ready: ready, gone: make(chan struct{}), over: true}
			s.groups[name], held = g, append(held, g)
		}
	}
	return held
}

// inGroups are those that a client is in. Any goroutine.
func (c *client) inGroups() []*group {
	if all := c.groups.Load(); all != nil {
		return *all
	}
	return nil
}

func (c *client) addGroup(g *group) {
	if all := c.inGroups(); !slices.Contains(all, g) {
		all = append(slices.Clone(all), g)
		c.groups.Store(&all)
	}
}

func (c *client) dropGroup(g *group) {
	all := slices.DeleteFunc(slices.Clone(c.inGroups()), func(one *group) bool { return one == g })
	c.groups.Store(&all)
}

// freed tells the groups of a client that it may take more.
func (c *client) freed() {
	for _, g := range c.inGroups() {
		signal(g.room)
	}
}
