package grpcapi

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"edgeloop/admin"
	"edgeloop/admin/access"
)

// call is one call that is being served. Owned by its handler.
type call struct {
	name   string
	row    method
	remote string
	who    *access.Principal
	notes  []zap.Field // for the audit
	told   bool        // the audit has its line
}

type callKey struct{}

// callOf is the call that a context is of; handlers have one always.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// note adds to the audit's line.
func (c *call) note(fields ...zap.Field) { c.notes = append(c.notes, fields...) }

// tenant is the tenant that the call gets which asks for one.
func (c *call) tenant(asked string) (string, error) {
	tenant, ok := c.who.TenantOf(asked)
	if !ok {
		return "", refusal(codes.PermissionDenied, "forbidden", fmt.Sprintf("the token %s is bound to the tenant %s: ask for that, or for none", c.who.Name, c.who.Tenant))
	}
	return tenant, nil
}

const howToken = `send one admin token as metadata, "authorization: Bearer TOKEN"`

// identify finds out who calls. The same words for no token and a wrong one.
func (s *Server) identify(ctx context.Context) (*access.Holder, error) {
	md, _ := metadata.FromIncomingContext(ctx)
	sent := md.Get("authorization")
	if len(sent) != 1 {
		return nil, refusal(codes.Unauthenticated, "unauthorized", howToken)
	}
	scheme, token, _ := strings.Cut(sent[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return nil, refusal(codes.Unauthenticated, "unauthorized", howToken)
	}
	h, err := s.cfg.Roster.Find(strings.TrimSpace(token))
	switch {
	case err != nil:
		return nil, refusal(codes.Unauthenticated, "unauthorized", err.Error())
	case h == nil:
		return nil, refusal(codes.Unauthenticated, "unauthorized", howToken)
	}
	return h, nil
}

// admit lets a call in: who calls may, and there is room. end is to be called once, with
// how the call ended.
func (s *Server) admit(ctx context.Context, name string) (_ context.Context, end func(error) error, err error) {
	c := &call{name: name}
	if p, ok := peer.FromContext(ctx); ok {
		c.remote = p.Addr.String()
	}
	h, err := s.identify(ctx)
	if err != nil {
		s.counts.refused[refusedToken].Add(1)
		s.door.distrust(c.remote)
		return nil, nil, err
	}
	s.door.trust(c.remote)
	c.who = &h.Principal
	row, known := methods[name]
	c.row = row
	if !known {
		return nil, nil, status.Error(codes.Unimplemented, "there is no method "+name)
	}
	if !c.who.Scopes.Has(row.scope) {
		s.counts.refused[refusedScope].Add(1)
		err := refusal(codes.PermissionDenied, "forbidden", fmt.Sprintf("this needs the scope %s, the token %s has %s: use another token, or give it the scope", row.scope, c.who.Name, c.who.Scopes))
		s.audit(c, err)
		return nil, nil, err
	}
	if err := s.spare(name); err != nil {
		return nil, nil, err
	}
	pool, reason := s.calls, refusedCalls
	if row.streams {
		pool, reason = s.streams, refusedStreams
	}
	leave, bound := pool.take(c.who.Name)
	if leave == nil {
		s.counts.refused[reason].Add(1)
		return nil, nil, refusal(codes.ResourceExhausted, reason.String(), fmt.Sprintf("%d calls of this kind are being served, of all tokens or of %s, which is the limit: end some, or come back later", bound, c.who.Name))
	}
	ctx, endHold := h.Within(context.WithValue(ctx, callKey{}, c))
	ctx, cancel := context.WithCancelCause(ctx)
	forget := context.AfterFunc(s.stopping, func() { cancel(errStopping) })
	began := time.Now()
	return ctx, func(err error) error {
		internal, st := statusOf(ctx, err)
		forget()
		cancel(nil)
		endHold()
		leave()
		s.counts.calls[class(st)].Add(1)
		if internal {
			s.log.Error("call failed", zap.String("method", name), zap.Error(err))
		}
		s.audit(c, st)
		s.log.Debug("call", zap.String("method", name), zap.Stringer("code", status.Code(st)), zap.String("remote", c.remote), zap.Duration("dur", time.Since(began)))
		return st
	}, nil
}

// spare refuses a call that the node has too much to do for.
func (s *Server) spare(name string) error {
	load, may := sheds[name]
	if !may {
		return nil
	}
	p, again := admin.Spare(s.cfg.Overload, load)
	if p == nil {
		return nil
	}
	s.counts.refused[refusedOverloaded].Add(1)
	return statusOfProblem(p, again)
}

// audit writes the one line of a change, or of one that was refused.
func (s *Server) audit(c *call, st error) {
	if c.row.change == "" || c.told {
		return
	}
	c.told = true
	s.auditLine(c, c.row.change, st)
}

// auditLine writes a line of a change; what a call notes stands in it, then more.
func (s *Server) auditLine(c *call, change string, st error, more ...zap.Field) {
	fields := []zap.Field{
		zap.String("principal", c.who.Name), zap.String("change", change), zap.String("method", c.name),
		zap.Stringer("code", status.Code(st)), zap.String("remote", c.remote),
	}
	s.auditLog.Info("changed through gRPC", slices.Concat(fields, c.notes, more)...)
}

var errPanic = errors.New("a call panicked")

// guarded has a panic cost its call alone.
func (s *Server) guarded(do func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			s.counts.panics.Add(1)
			s.log.Error("a call panicked", zap.Any("panic", v), zap.Stack("stack"))
			err = errPanic
		}
	}()
	return do()
}

func (s *Server) stream(srv any, ss grpc.ServerStream, info *grpc.StreamServerInfo, serve grpc.StreamHandler) error {
	ctx, end, err := s.admit(ss.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	return end(s.guarded(func() error { return serve(srv, &within{ss, ctx}) }))
}

// within is a stream with the context of its call.
type within struct {
	grpc.ServerStream
	ctx context.Context
}

// Context implements grpc.ServerStream.
func (w *within) Context() context.Context { return w.ctx }
