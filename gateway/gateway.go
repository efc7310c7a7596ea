package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"edgeloop/auth"
	"edgeloop/devicemgr"
	"edgeloop/envelope"
	"edgeloop/internal/bytebuf"
	"edgeloop/internal/latency"
	"edgeloop/overload"
	"edgeloop/pool"
)

// A Gateway joins the parts. It is the eventloop.Acceptor of the node.
type Gateway struct {
	// Immutable after construction.
	cfg      Config
	log      Log
	store    Store
	verifier *auth.Verifier
	logger   *zap.Logger
	devices  *Devices
	workPool *pool.Pool
	authPool *pool.Pool
	lanes    *pool.Lanes[*batch]
	checks   *pool.Queue[*candidate]
	fetches  *pool.Lanes[*link]
	expiry   *expiry
	forms    forms
	voices   voices
	stopping chan struct{}
	flaps    *flaps
	connects *connects
	tenants  *tenants
	resets   resets
	sessions clientSessions
	wills    *wills
	born     time.Time // its monotonic clock is what latencies are taken by

	latencies struct{ ack, handshake, reply latency.Histogram }

	// Safe for concurrent use.
	turns      sync.Pool // *turn
	batches    sync.Pool // *batch
	candidates sync.Pool // *candidate
	encoders   sync.Pool // *encoder
	replies    replies
	memory     memory
	notices    notices
	events     events
	drain      drain
	wait       sync.WaitGroup
	stop       sync.Once

	// Atomic.
	limits   limits
	asking   overload.Breaker // of the log, about one device
	draining atomic.Bool
	drops    [numDrops]atomic.Uint64
	counts   counts
}

// counts are the totals that are no drops.
type counts struct {
	// Atomic.
	received, acks, gaps, takeovers, revoked, evicted, panics atomic.Uint64
	commandsSent, commandsLeft, commandsTaken, replyHit       atomic.Uint64
	replyMiss, broadcasts                                     atomic.Uint64
}

// encoder is the scratch of one encoding.
type encoder struct {
	msg envelope.Message
	out []byte
}

// MaxWaiting bounds the handshakes that wait to be checked. By default the event loop admits fewer
// at a time.
const MaxWaiting = 8192

// New builds a gateway; its workers run until Close.
func New(cfg Config) (*Gateway, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		cfg:      cfg,
		log:      cfg.Log,
		store:    cfg.Store,
		verifier: cfg.Verifier,
		logger:   cfg.Logger.Named("gateway"),
		expiry:   newExpiry(cfg.clocks),
		stopping: make(chan struct{}),
		flaps:    newFlaps(cfg.FreeTakeovers),
		connects: newConnects(cfg, time.Now()),
		born:     time.Now(),
	}
	g.wills = newWills(cfg.Wills, g.publishWill, g.logger)
	g.learnProtocols()
	g.tenants = newTenants(g)
	g.memory.budget = bytebuf.NewBudget(cfg.InFlight, g.memory.low)
	g.limits.set(cfg)
	g.events.set(cfg.Events, cfg.EventRate)
	g.devices, err = devicemgr.New[link](devicemgr.Config{MaxOffline: cfg.MaxRemembered, Lifted: cfg.SharedLog, OnPresence: g.presence})
	if err != nil {
		return nil, fmt.Errorf("gateway: %w", err)
	}
	if err := g.buildLanes(); err != nil {
		return nil, errors.Join(err, g.abandon())
	}
	g.wait.Go(func() { g.expiry.watch(g.devices, g.stopping) })
	g.wait.Go(func() { g.wills.run(g.stopping) })
	return g, nil
}

func (g *Gateway) buildLanes() (err error) {
	if g.workPool, err = pool.New(pool.Config{Workers: g.cfg.Workers, OnPanic: g.panicked}); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	if g.authPool, err = pool.New(pool.Config{Workers: g.cfg.AuthWorkers, OnPanic: g.panicked}); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	if g.lanes, err = pool.NewLanes(g.workPool, pool.LaneConfig{Lanes: g.cfg.Lanes, Depth: g.cfg.LaneDepth, BatchCost: turnCost}, g.handle); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	g.lanes.Weigh(func(b **batch) int32 { return (*b).cost })
	if g.checks, err = pool.NewQueue(g.authPool, MaxWaiting, g.check); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	if g.fetches, err = pool.NewLanes(g.authPool, pool.LaneConfig{Lanes: g.cfg.AuthWorkers, Depth: fetchDepth, Batch: 1}, g.fetch); err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	return nil
}

// Close ends the workers after they finished what was accepted, or when ctx
// ends: workers that wait for a log that stands still go on until it is closed,
// which may be done while they wait. The connections should be closed before.
// When it returned an error it may be called again.
func (g *Gateway) Close(ctx context.Context) error {
	g.stop.Do(func() {
		close(g.stopping)
		g.wills.stop()
	})
	g.wait.Wait()
	err := g.authPool.Stop(ctx)
	if err != nil {
		err = fmt.Errorf("gateway: stop authentication: %w", err)
	}
	if work := g.workPool.Stop(ctx); work != nil {
		err = errors.Join(err, fmt.Errorf("gateway: stop lanes: %w", work))
	}
	return err
}

// abandon ends the workers of a gateway that could not be built.
func (g *Gateway) abandon() (err error) {
	for _, p := range []*pool.Pool{g.workPool, g.authPool} {
		if p != nil {
			err = errors.Join(err, p.Stop(context.Background()))
		}
	}
	return err
}

// Memory is the budget of what is between sockets and log, to be shared with the
// event loop.
func (g *Gateway) Memory() *bytebuf.Budget { return g.memory.budget }

// presence passes on who came or went.
func (g *Gateway) presence(p devicemgr.Presence) {
	if g.cfg.OnPresence != nil {
		g.cfg.OnPresence(Presence{
			Tenant: p.Key.Tenant, Device: p.Key.Device, Epoch: p.Epoch, Online: p.Online,
			Elsewhere: p.Cause == devicemgr.CauseElsewhere, At: p.At,
		})
	}
}

// Heard is told what a node has said of a device; speaker compares that node's name
// with this one's. A connection older than one of another node is closed, because the
// newest wins; what is known better here is said to OnPresence. See
// devicemgr.Manager.Heard.
func (g *Gateway) Heard(p Presence, speaker int) {
	l := g.devices.Heard(devicemgr.Presence{
		Key: devicemgr.Key{Tenant: p.Tenant, Device: p.Device}, Epoch: p.Epoch, Online: p.Online,
	}, speaker)
	if speaker == 0 && p.Online {
		g.heardReset(devicemgr.Key{Tenant: p.Tenant, Device: p.Device}, p.Epoch)
	}
	if speaker != 0 && p.Online {
		g.wills.elsewhere(devicemgr.Key{Tenant: p.Tenant, Device: p.Device}, p.Epoch)
	}
	if l != nil {
		g.counts.takeovers.Add(1)
		l.Close(closeReplaced, "a newer connection of this device took over on another node")
	}
}

func (g *Gateway) encoder() *encoder {
	if e, ok := g.encoders.Get().(*encoder); ok {
		e.msg.Reset()
		return e
	}
	return new(encoder)
}

// clock is the present; a read costs some tens of nanoseconds, once per read
// event and not per message.
func (g *Gateway) clock() time.Time { return time.Now() }
