package grpcapi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	v1 "edgeloop/api/edgeloop/v1"
)

// Server is the gRPC server of one node.
type Server struct {
	// Immutable after construction.
	cfg      Config
	node     Node
	log      *zap.Logger
	auditLog *zap.Logger
	grpc     *grpc.Server
	door     *door
	stopping context.Context // ended by Stop
	endCalls context.CancelFunc
	streams  *places
	calls    *places
	counts   *counts
	readers  *logService
	served   chan struct{} // closed when the goroutine of New has ended
}

// Bounds of a connection. What a client may send without being asked is little: requests
// are small, and its window for answers is its own affair.
const (
	maxHeader    = 16 << 10
	window       = 64 << 10
	maxPerClient = 64 // calls at a time on one connection
	handshake    = 10 * time.Second
)

// New listens, and serves in a goroutine of its own until Stop.
func New(ctx context.Context, cfg Config, node Node) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if node.Devices == nil || node.Commands == nil || node.Readers == nil || node.Presence == nil {
		return nil, errors.New("grpcapi: a part of the node is missing")
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("grpcapi: %w", err)
	}
	s := &Server{
		cfg: cfg, node: node, log: cfg.Logger.Named("grpc"), auditLog: cfg.Audit.Named("grpc"),
		streams: newPlaces(cfg.MaxStreams, cfg.MaxTokenStreams), calls: newPlaces(cfg.MaxCalls, cfg.MaxTokenCalls),
		counts: new(counts), served: make(chan struct{}),
	}
	s.stopping, s.endCalls = context.WithCancel(context.Background())
	s.door = newDoor(ln, cfg.MaxConnections, func() { s.counts.refused[refusedConnections].Add(1) })
	s.grpc = grpc.NewServer(s.options()...)
	services := early{s.grpc}
	s.readers = newLogService(s)
	v1.RegisterLogServer(services, s.readers)
	v1.RegisterCommandsServer(services, &commands{s: s})
	v1.RegisterPresenceServer(services, &presence{s: s})
	reflection.Register(s.grpc)
	go func() {
		defer close(s.served)
		if err := s.grpc.Serve(s.door); err != nil && s.stopping.Err() == nil {
			s.log.Error("serving ended", zap.Error(err))
		}
	}()
	return s, nil
}

func (s *Server) options() []grpc.ServerOption {
	all := []grpc.ServerOption{
		grpc.ChainStreamInterceptor(s.stream), // there are no others: see early
		// A client without a token is not told which methods there are.
		grpc.UnknownServiceHandler(func(any, grpc.ServerStream) error { return nil }),
		grpc.MaxRecvMsgSize(s.cfg.MaxMessage),
		grpc.MaxHeaderListSize(maxHeader),
		grpc.MaxConcurrentStreams(maxPerClient),
		grpc.InitialWindowSize(window),
		grpc.InitialConnWindowSize(2 * window),
		grpc.ConnectionTimeout(handshake),
		grpc.WaitForHandlers(true),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 10 * time.Second}),
		grpc.KeepaliveParams(keepalive.ServerParameters{
			MaxConnectionIdle: 5 * time.Minute, Time: 30 * time.Second, Timeout: 20 * time.Second,
		}),
	}
	if s.cfg.TLS != nil {
		all = append(all, grpc.Creds(credentials.NewTLS(s.cfg.TLS)))
	}
	return all
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.door.Addr() }

// Stop ends what is being served with UNAVAILABLE, lets the answers out until ctx ends,
// then cuts what is left: a client that does not read.
func (s *Server) Stop(ctx context.Context) error {
	s.endCalls()
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		s.grpc.GracefulStop()
	}()
	var err error
	select {
	case <-gone:
	case <-ctx.Done():
		s.grpc.Stop()
		err = fmt.Errorf("grpcapi: calls were cut: %w", ctx.Err())
		<-gone
	}
	<-s.served
	return err
}
