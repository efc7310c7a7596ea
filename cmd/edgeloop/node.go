package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin"
	"edgeloop/admin/grpcapi"
	"edgeloop/admin/mqttapi"
	"edgeloop/auth"
	"edgeloop/auth/jwks"
	"edgeloop/backbone"
	"edgeloop/backbone/pace"
	"edgeloop/envelope"
	"edgeloop/eventloop"
	"edgeloop/gateway"
	"edgeloop/intake"
	"edgeloop/overload"
	"edgeloop/pool"
	"edgeloop/presence"
	"edgeloop/quota"
	"edgeloop/retained"
	"edgeloop/sink"
	"edgeloop/tlsrec"
)

// A node is what its parts have made: see parts for their order.
type node struct {
	// Immutable after construction.
	cfg     *serveCmd
	log     *logging
	started time.Time
	watch   *supervisor
	args    []string // the command line

	handedOver handedOver
	failed     chan error    // a part has ended by itself
	turn       chan struct{} // capacity 1: held by who changes settings
	drain      chan struct{} // closed when the admin API asked for a drain

	backbone  *backbone.Backbone
	verifier  *auth.Verifier // nil with --auth=none
	published *jwks.Source   // nil without --jwks-url
	gateway   *gateway.Gateway
	server    *eventloop.Server
	tls       *tlsrec.Server // nil where no listener speaks it
	tlsQueue  *pool.Queue[func()]
	pacer     *pace.Pacer // of who catches up with the log
	sinks     *sink.Set
	intake    *intake.Set
	boards    []*presence.Board
	health    *admin.Server // nil without --health-listen
	early     *admin.Server // while the node starts
	admin     *admin.Server
	mqttApps  *mqttapi.Server // nil with --mqtt-apps=off
	retained  *retained.Table // nil: nothing is
	grpc      *grpcapi.Server // nil without --grpc-listen
	certs     certificates
	tokens    tokens
	here      *presenceHub // nil where nobody watches

	// Owned by the goroutine that starts and stops the node.
	built     assembly
	ownSecret string // path of the device secret that the node made itself
	keyStamp  string // of --jwks-file, before it was read

	// Safe for concurrent use.
	drainOnce sync.Once
	quotas    quota.Book
	ladder    overload.Ladder // looked at by the part "load" alone

	// Atomic.
	told        atomic.Pointer[inForce] // changed in turn
	drainWindow atomic.Int64
	state       atomic.Int32
	ends        atomic.Pointer[gateway.Gateway] // closes connections of the banned and the revoked, and knows what devices feel; nil: there are none yet
	waits       atomic.Pointer[error]           // why the log's server cannot be reached at the start; nil: it can
	tlsReloads  [numReloads]atomic.Uint64
	tlsBroken   broken // the files of TLS for devices
	entry       entry
}

// The states of a node, for atomic.
const (
	stateStarting int32 = iota
	stateRunning
	stateDraining
	stateDrained
)

const logPart = "log"

// parts are those of a node, in the order of their start; they stop in the
// reverse one.
func (n *node) parts() []part {
	// A log of the node's own takes as long to start as its size asks for.
	log := part{name: logPart, start: n.startBackbone, stopMost: stopLog}
	if n.cfg.NATSURL != "" {
		log.startMost, log.stopMost = startMost, stopClient
	}
	return []part{
		{name: "quotas", start: n.startQuotas, startMost: startMost, stopMost: stopMinor},
		{name: "keys", start: n.startAuth, startMost: startMost, stopMost: stopMinor},
		{name: "health", start: n.startHealth, startMost: startMost, stopMost: stopMinor, minor: true},
		{name: "admin address", start: n.startEarly, startMost: startMost, stopMost: stopMinor, minor: true},
		log,
		// What a sink has not sent is sent after the next start.
		{name: "sinks", start: n.startSinks, startMost: startMost, stopMost: stopSinks, minor: true},
		{name: "presence elsewhere", start: n.startBoards, startMost: startMost, stopMost: stopBoards, minor: true},
		{name: "retained messages", start: n.startRetained, startMost: startMost, stopMost: stopMinor, minor: true},
		{name: "gateway", start: n.startGateway, startMost: startMost, stopMost: stopGateway},
		{name: "devices of the log", start: n.startRecall, startMost: startMost, stopMost: stopMinor, minor: true},
		// Presence of others is told again at the next start.
		{name: "presence of other nodes", start: n.startWatch, startMost: startMost, stopMost: stopMinor, minor: true},
		{name: "TLS", start: n.startTLS, startMost: startMost, stopMost: stopMinor},
		{name: "doorman", start: n.startDoorman, startMost: startMost, stopMost: stopMinor, minor: true},
		{name: "event loops", start: n.startServer, startMost: startMost, stopMost: stopServer},
		{name: "commands from elsewhere", start: n.startIntake, startMost: startMost, stopMost: stopIntake, minor: true},
		// What they have not acknowledged comes again.
		{name: "applications by MQTT", start: n.startMQTTApps, startMost: startMost, stopMost: stopMQTTApps, minor: true},
		// That a request was cut is no fault of the node.
		{name: "admin API", start: n.startAdmin, startMost: startMost, stopMost: stopAdmin, minor: true},
		// What a reader has not acknowledged it gets again.
		{name: "gRPC", start: n.startGRPC, startMost: startMost, stopMost: stopGRPC, minor: true},
		{name: "address file", start: n.announce, startMost: startMost, stopMost: stopMinor, minor: true},
		{name: "files", start: n.startWatchFiles, startMost: startMost, stopMost: stopMinor, minor: true},
		{name: "load", start: n.startLoad, startMost: startMost, stopMost: stopMinor, minor: true},
		{name: "tidier", start: n.startTidy, startMost: startMost, stopMost: stopMinor, minor: true},
	}
}

func newNode(cfg *serveCmd, log *logging, watch *supervisor) *node {
	return &node{
		cfg: cfg, log: log, watch: watch, started: time.Now(),
		failed: make(chan error, 2), drain: make(chan struct{}), turn: make(chan struct{}, 1),
		built: assembly{log: log, watch: watch},
	}
}

// start starts all parts, or none: ok is false without an error when the node was
// asked to stop before it was through.
func (n *node) start() (ok bool, err error) {
	ctx, cancel := n.watch.untilAsked()
	defer cancel()
	for _, p := range n.parts() {
		err := n.built.start(ctx, p)
		if ctx.Err() != nil && (err != nil || n.server == nil) { // with devices it is stopped with a drain
			n.log.Info("stopped during the start", zap.String("part", p.name), zap.Error(err))
			n.abandon()
			return false, nil
		}
		if err != nil {
			n.abandon()
			return false, err
		}
	}
	n.watch.at("run")
	n.state.Store(stateRunning)
	n.tellReady()
	lag := n.server.Lag
	n.watch.lag.Store(&lag)
	return true, nil
}

func (n *node) startBackbone(ctx context.Context) (stopFunc, error) {
	cfg := backbone.Config{
		DataDir:       n.cfg.DataDir,
		NATSURL:       n.cfg.NATSURL,
		NATSAccess:    n.cfg.access(),
		OnWait:        func(err error) { n.waits.Store(&err) },
		Node:          n.name(),
		LogSettings:   n.cfg.logSettings(),
		CommandMaxAge: n.cfg.CommandMaxAge,
		CommandQuota:  func(tenant string) int64 { return n.quotas.Of(tenant).Commands },
		// To backbone zero means its default, to the flag it means none.
		CommitInterval: cmp.Or(n.cfg.CommitEvery, -1),
		MaxRecord:      n.cfg.maxRecord(),
		OnBan:          n.onBan,
		OnRevoke:       n.onRevoke,
		Logger:         n.log.Logger,
	}
	if n.cfg.Durability == "process" {
		cfg.Durability = backbone.Process
	}
	cfg.OnDamage = onDamage(n.cfg.OnDamage)
	var err error
	n.backbone, err = backbone.Open(ctx, cfg)
	n.waits.Store(nil)
	if errors.Is(err, backbone.ErrInUse) {
		return nil, fmt.Errorf("--data-dir=%s: %w: stop the other node, or give this one a directory of its own", n.cfg.DataDir, err)
	}
	var damaged *backbone.DamageError
	if errors.As(err, &damaged) {
		return nil, fmt.Errorf("--on-damage=stop: %w: look with 'edgeloop log verify --data-dir=%s'; restore a backup, or go on without the lost records with 'edgeloop log accept' or --on-damage=serve", damaged, n.cfg.DataDir)
	}
	if errors.Is(err, backbone.ErrNameTaken) {
		return nil, fmt.Errorf("--node=%s: %w: each node needs a name of its own", n.name(), err)
	}
	if err != nil {
		return nil, err
	}
	n.sayLog()
	return n.backbone.Close, nil
}

func (n *node) startGateway(ctx context.Context) (stop stopFunc, err error) {
	n.openBans()
	// Presence and what other nodes write matter where there are other nodes:
	// with an external server. See docs/decisions/0011.
	shared := n.backbone.Shared()
	presence := n.presence
	if !shared && n.cfg.GRPCListen != "" {
		n.here = newPresenceHub()
	}
	if !shared && n.here == nil && len(n.boards) == 0 {
		presence = nil
	}
	n.gateway, err = gateway.New(gateway.Config{
		Workers:         n.cfg.PoolSize,
		AuthWorkers:     n.cfg.AuthPoolSize,
		Lanes:           n.cfg.Lanes,
		LaneDepth:       n.cfg.LaneDepth,
		Window:          n.cfg.Window,
		MaxSequenceJump: uint64(n.cfg.MaxSeqJump), //nolint:gosec // positive
		WindowBytes:     n.cfg.WindowBytes,
		RateBytes:       n.cfg.MaxRateBytes,
		RateMessages:    n.cfg.MaxRateMsgs,
		StoredBytes:     n.backbone.StoredBytes,
		Quotas:          &n.quotas,
		Overload:        &n.ladder,
		InFlight:        n.cfg.InflightBytes,
		MaxCommand:      n.cfg.maxCommand(),
		MaxPacket:       n.cfg.MaxMessage,
		Heartbeat:       n.cfg.Heartbeat,
		IdleTimeout:     n.cfg.IdleTimeout,
		MaxRemembered:   n.cfg.RememberedMost,
		FreeTakeovers:   n.cfg.FreeTakeovers,
		OnProof:         n.proof(),
		Connects:        n.cfg.connects(),
		PrefixBits4:     n.cfg.PrefixBits4,
		PrefixBits6:     n.cfg.PrefixBits6,
		DrainWindow:     n.cfg.DrainWindow,
		RetryAfter:      n.cfg.RetryAfter,
		Verifier:        n.verifier,

		CertificateIsEnough: n.cfg.Auth == "cert",
		AllowedOrigins:      n.cfg.AllowedOrigins,

		SharedLog:  shared,
		Log:        n.backbone,
		Store:      n.backbone,
		Wills:      n.backbone,
		Retainer:   n.retainer(),
		Events:     n.cfg.eventTypes(),
		EventRate:  n.cfg.EventRate,
		Node:       n.name(),
		OnPresence: presence,
		Logger:     n.log.Logger,
	})
	if err != nil {
		return nil, err
	}
	n.ends.Store(n.gateway)
	return n.gateway.Close, n.gateway.TakeUpWills(ctx)
}

// startWatch listens to other nodes where there may be some.
func (n *node) startWatch(context.Context) (stopFunc, error) {
	if n.cfg.NATSURL == "" {
		return nil, nil
	}
	return inBackground(n.watchOthers), nil
}

// watchOthers hears what is said of devices, here and on other nodes, until ctx ends.
func (n *node) watchOthers(ctx context.Context) {
	err := n.backbone.WatchPresence(ctx, func(p backbone.Presence) {
		n.gateway.Heard(gateway.Presence{Tenant: p.Tenant, Device: p.Device, Epoch: p.Epoch, Online: p.Online}, strings.Compare(p.Node, n.name()))
	})
	if err != nil && ctx.Err() == nil {
		n.log.Error("no longer receiving the presence of other nodes", zap.Error(err))
	}
}

func (n *node) startServer(ctx context.Context) (stop stopFunc, err error) {
	acceptor, err := n.acceptor()
	if err != nil {
		return nil, err
	}
	n.server, err = eventloop.New(eventloop.Config{
		Listeners:        n.listeners(),
		Loops:            n.cfg.EventLoops,
		MaxConnections:   n.cfg.MaxConnections,
		RefuseReserve:    refuseReserve,
		MaxHandshakes:    n.cfg.MaxHandshakes,
		MaxPerAddress:    n.cfg.MaxPerAddress,
		HandshakeTimeout: n.cfg.HandshakeTimeout,
		Tick:             tickFor(n.cfg.Heartbeat, n.cfg.IdleTimeout, n.cfg.HandshakeTimeout),
		SocketBuffer:     cmp.Or(n.cfg.SocketBuffer, -1),
		SendTimeout:      n.cfg.SendTimeout,
		OutBuffer:        n.cfg.OutBuffer,
		RetryAfter:       n.cfg.RetryAfter,
		Doorman:          n.doorman(),
		OnFailedTLS:      n.failedTLS(),
		OnFailedGreeting: n.gateway.NoticeGreeting,
		TrustedProxies:   networks("trusted-proxies", n.cfg.TrustedProxies).contains(),
		Protocols:        envelope.Protocols(),
		MQTTPaths:        []string{gateway.MQTTPath, gateway.DevicePath},
		Compression:      n.cfg.Compression,
		MaxMessage:       n.cfg.MaxMessage,
		Memory:           n.gateway.Memory(),
		Logger:           n.log.Logger,
	}, acceptor)
	if err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() {
		err := n.server.Run()
		ended <- err
		if err != nil {
			n.failed <- err
		}
	}()
	select {
	case <-n.server.Booted():
		return n.server.Stop, nil
	case err := <-ended:
		return n.server.Stop, err
	case <-ctx.Done():
		return n.server.Stop, ctx.Err()
	}
}

// tickFor is a resolution that suits the shortest of the timeouts.
func tickFor(timeouts ...time.Duration) time.Duration {
	tick := time.Second
	for _, d := range timeouts {
		tick = min(tick, d/8)
	}
	return max(tick, 10*time.Millisecond)
}

// drainAsked is closed when the admin API asked for a drain.
func (n *node) drainAsked() <-chan struct{} { return n.drain }

// askDrain is called by the admin API.
func (n *node) askDrain(window time.Duration) {
	n.drainOnce.Do(func() {
		n.drainWindow.Store(int64(window))
		if window > 0 {
			n.watch.window.Store(int64(window))
		}
		n.state.Store(stateDraining)
		close(n.drain)
	})
}

// presence passes on who came or went to those who watch, on any node. Of a device
// that went to another node, that node has spoken already.
func (n *node) presence(p gateway.Presence) {
	n.tellBoards(p)
	if p.Elsewhere {
		return
	}
	if n.here != nil {
		n.here.tell(grpcapi.State{Tenant: p.Tenant, Device: p.Device, Epoch: p.Epoch, Online: p.Online, At: p.At, Node: n.name()})
		return
	}
	if !n.backbone.Shared() {
		return
	}
	n.backbone.PublishPresence(backbone.Presence{
		Tenant: p.Tenant, Device: p.Device, Epoch: p.Epoch, Online: p.Online, At: p.At, Node: n.name(),
	})
}
