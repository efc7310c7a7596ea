package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"edgeloop/admin"
	"edgeloop/admin/grpcapi"
	"edgeloop/auth"
	"edgeloop/backbone"
	"edgeloop/backbone/pace"
)

// planGRPC checks the flags of the gRPC services. Tokens are not shown to a network by
// accident.
func (s *serveCmd) planGRPC() error {
	switch {
	case (s.GRPCCert == "") != (s.GRPCKey == ""):
		return errors.New("--grpc-cert and --grpc-key go together: give both, PEM files of a certificate with its chain and of its key, or none")
	case s.GRPCListen == "" && (s.GRPCCert != "" || s.GRPCRemote):
		return errors.New("--grpc-cert, --grpc-key and --grpc-remote are for --grpc-listen: give the address of the services")
	case s.GRPCListen == "":
		return nil
	}
	if err := checkListen("--grpc-listen", s.GRPCListen); err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(s.GRPCListen)
	taken := []string{s.AdminListen}
	for _, d := range s.doors() {
		taken = append(taken, d.addr)
	}
	if slices.Contains(taken, s.GRPCListen) && port != "0" {
		return fmt.Errorf("--grpc-listen=%s is taken by another listener: give each a port of its own", s.GRPCListen)
	}
	if s.GRPCCert != "" || s.GRPCRemote || onlyHere(s.GRPCListen) {
		return nil
	}
	return fmt.Errorf("--grpc-listen=%s can be reached from outside, and admin tokens would cross the network in the clear: give --grpc-cert and --grpc-key, or listen on 127.0.0.1 or [::1], or give --grpc-remote if the network is trusted", s.GRPCListen)
}

// startGRPC starts the gRPC services, where there are to be some.
func (n *node) startGRPC(ctx context.Context) (stop stopFunc, err error) {
	if n.cfg.GRPCListen == "" {
		return nil, nil
	}
	n.grpc, err = grpcapi.New(ctx, grpcapi.Config{
		Listen:      n.cfg.GRPCListen,
		AllowRemote: n.cfg.GRPCRemote,
		TLS:         n.certs.grpc.config(),
		Roster:      n.admin.Roster(),
		Overload:    &n.ladder,
		CheckName:   auth.CheckName,
		Logger:      n.log.Logger,
		Audit:       n.log.audit,
	}, grpcapi.Node{
		Devices:  adminDevices{n.gateway, n.backbone},
		Commands: adminCommands{n.gateway, n.backbone, n.cfg.CommandMaxAge},
		Readers:  grpcReaders{n.backbone, n.pacer},
		Presence: grpcPresence{n},
	})
	if err != nil {
		return nil, fmt.Errorf("--grpc-listen=%s: %w", n.cfg.GRPCListen, err)
	}
	return n.grpc.Stop, nil
}

// grpcReaders are the named readers of the log. A *backbone.PositionError stays what it is:
// to a reader it means something else than to a tail.
type grpcReaders struct {
	backbone *backbone.Backbone
	pacer    *pace.Pacer
}

// Open implements grpcapi.Readers.
func (r grpcReaders) Open(ctx context.Context, name string, start backbone.Start) (grpcapi.Reader, error) {
	k, err := r.backbone.OpenReader(ctx, name, start)
	if err != nil {
		return nil, readerError(err)
	}
	return grpcReader{pacedReader{k, r.pacer, name}}, nil
}

// Edge implements grpcapi.Readers.
func (r grpcReaders) Edge(ctx context.Context, start backbone.Start) (backbone.Place, error) {
	at, err := r.backbone.Edge(ctx, start)
	return at, readerError(err)
}

// Seek implements grpcapi.Readers.
func (r grpcReaders) Seek(ctx context.Context, name, log string, position uint64) error {
	return readerError(r.backbone.SeekReader(ctx, name, log, position))
}

// Names implements grpcapi.Readers.
func (r grpcReaders) Names(ctx context.Context) ([]string, error) {
	names, err := r.backbone.ReaderNames(ctx)
	return names, readerError(err)
}

// grpcReader is one of them.
type grpcReader struct{ pacedReader }

// Read implements grpcapi.Reader.
func (r grpcReader) Read(ctx context.Context, fn func(backbone.Entry) error) error {
	return readerError(r.pacedReader.Read(ctx, fn))
}

// Keep implements grpcapi.Reader.
func (r grpcReader) Keep(ctx context.Context, position uint64) error {
	return readerError(r.Reader.Keep(ctx, position))
}

func readerError(err error) error {
	var beyond *backbone.PositionError
	if errors.As(err, &beyond) || errors.Is(err, backbone.ErrReaderTaken) {
		return err
	}
	return adminError(err)
}

func (n *node) grpcMetrics(to func(admin.Sample)) {
	if n.grpc == nil {
		return
	}
	emit, st := emitTo(to), n.grpc.Stats()
	emit("edgeloop_grpc_connections", float64(st.Connections))
	emit("edgeloop_grpc_streams", float64(st.Streams))
	for c := range grpcapi.NumClasses {
		emit("edgeloop_grpc_calls_total", float64(st.Calls[c]), grpcapi.Class(c).String())
	}
	for r := range grpcapi.NumRefused {
		emit("edgeloop_grpc_refused_total", float64(st.Refused[r]), grpcapi.Refused(r).String())
	}
	emit("edgeloop_grpc_sent_records_total", float64(st.Records))
	emit("edgeloop_grpc_readers_taken_total", float64(st.Taken))
	emit("edgeloop_grpc_watchers_behind_total", float64(st.Behind))
	emit("edgeloop_grpc_panics_total", float64(st.Panics))
	for _, r := range n.grpc.Reading() {
		if lag := lagBehind(n.backbone, r.Log, r.Position); lag != nil {
			emit("edgeloop_grpc_reader_lag_records", float64(*lag), strings.TrimPrefix(r.Tenant+"/"+r.Reader, "/"))
		}
	}
}
