package grpcapi

import (
	"slices"

	"google.golang.org/grpc"
)

// early registers services whose calls are let in when their header has come, before any of
// the request is read: each method becomes a stream of one request and one answer, which is
// the same to a client. grpc-go reads the request of a unary method before it asks an
// interceptor; a client without a token could make it hold one of Config.MaxMessage for each call.
type early struct{ grpc.ServiceRegistrar }

// RegisterService implements grpc.ServiceRegistrar.
func (e early) RegisterService(d *grpc.ServiceDesc, impl any) {
	all := *d
	all.Methods, all.Streams = nil, slices.Clone(d.Streams)
	for _, m := range d.Methods {
		// As no stream it would pass by the interceptor.
		all.Streams = append(all.Streams, grpc.StreamDesc{StreamName: m.MethodName, Handler: once(m), ServerStreams: true})
	}
	e.ServiceRegistrar.RegisterService(&all, impl)
}

func once(m grpc.MethodDesc) grpc.StreamHandler {
	return func(srv any, ss grpc.ServerStream) error {
		answer, err := m.Handler(srv, ss.Context(), ss.RecvMsg, nil)
		if err != nil {
			return err
		}
		return ss.SendMsg(answer)
	}
}
