package grpcapi

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"go.uber.org/zap"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"edgeloop/admin/api"
	v1 "edgeloop/api/edgeloop/v1"
)

// commands is edgeloop.v1.Commands.
type commands struct {
	v1.UnimplementedCommandsServer

	// Immutable after construction.
	s *Server
}

// maxCommandID is as in the REST API.
const maxCommandID = 128

// device checks the names of a device that a call is about.
func (s *Server) device(c *call, askedTenant, device string) (tenant string, err error) {
	if tenant, err = c.tenant(askedTenant); err != nil {
		return "", err
	}
	tenant = cmp.Or(tenant, "default")
	if err := s.checkName("tenant", tenant); err != nil {
		return "", err
	}
	c.note(zap.String("tenant", tenant), zap.String("device", device[:min(len(device), 128)]))
	return tenant, s.checkName("device", device)
}

// Send implements v1.CommandsServer.
func (c *commands) Send(ctx context.Context, q *v1.SendRequest) (*v1.SendResponse, error) {
	var err error
	cmd := api.Command{Device: q.GetDevice()}
	if cmd.Tenant, err = c.s.device(callOf(ctx), q.GetTenant(), q.GetDevice()); err != nil {
		return nil, err
	}
	cmd.Name = q.GetName()
	if err := api.CheckCommandName(cmd.Name); err != nil {
		return nil, err
	}
	if len(q.GetData()) > 0 {
		if !json.Valid(q.GetData()) {
			return nil, invalid("data", "data is not JSON: give one JSON value, bytes as a text in base64, or nothing")
		}
		cmd.Data = q.GetData()
	}
	if q.TtlMs != nil {
		ttl := milliseconds(q.GetTtlMs())
		if cmd.TTL, cmd.Now = api.Duration(ttl), ttl == 0; !cmd.Now && ttl < api.MinTTL {
			return nil, invalid("ttl_ms", fmt.Sprintf("ttl_ms is %d: give 1000 or more, 0 for now or never, or leave it out", q.GetTtlMs()))
		}
	}
	wait := milliseconds(q.GetWaitMs())
	if wait > c.s.cfg.MaxWait {
		return nil, invalid("wait_ms", fmt.Sprintf("wait_ms is %d: give at most %d", q.GetWaitMs(), c.s.cfg.MaxWait.Milliseconds()))
	}
	cmd.Wait = api.Duration(wait)
	callOf(ctx).note(zap.String("command", cmd.Name))
	res, err := c.s.node.Commands.Command(ctx, cmd)
	if err != nil {
		return nil, err
	}
	callOf(ctx).note(zap.String("command_id", res.ID))
	return c.result(ctx, &res, wait)
}

func (c *commands) result(ctx context.Context, res *api.CommandResult, wait time.Duration) (*v1.SendResponse, error) {
	out := &v1.SendResponse{Id: res.ID}
	switch res.State {
	case api.CommandReplied:
		data, kind, err := payload(res.Reply.Data, res.Reply.Encoding)
		if err != nil {
			return nil, err
		}
		out.State = v1.SendResponse_STATE_REPLIED
		out.Reply = &v1.Reply{Ok: res.Reply.OK, Code: res.Reply.Code, Message: res.Reply.Message, Data: data, ContentType: kind}
	case api.CommandSent:
		out.State = v1.SendResponse_STATE_SENT
	case api.CommandLeft:
		out.State, out.Expires = v1.SendResponse_STATE_LEFT, res.Expires.UnixMilli()
	case api.CommandNoReply:
		within := "within " + wait.String()
		if c.s.stopping.Err() != nil {
			within = "in the time that the node had left: it stops"
		} else if ctx.Err() != nil {
			within = "within the time that the call had"
		}
		st, err := status.New(codes.DeadlineExceeded, "the device got the command and did not answer "+within).WithDetails(
			&errdetails.ErrorInfo{Reason: "no-reply", Domain: domain, Metadata: map[string]string{"id": res.ID}})
		if err != nil {
			return nil, err
		}
		return nil, st.Err()
	default:
		return nil, fmt.Errorf("grpcapi: command %s ended in state %q", res.ID, res.State)
	}
	return out, nil
}

// milliseconds is a time that fits.
func milliseconds(ms uint64) time.Duration {
	return time.Duration(min(ms, math.MaxInt64/uint64(time.Millisecond))) * time.Millisecond //nolint:gosec // it fits
}

// List implements v1.CommandsServer.
func (c *commands) List(ctx context.Context, q *v1.ListCommandsRequest) (*v1.ListCommandsResponse, error) {
	tenant, err := c.s.device(callOf(ctx), q.GetTenant(), q.GetDevice())
	if err != nil {
		return nil, err
	}
	waiting, err := c.s.node.Commands.WaitingCommands(ctx, tenant, q.GetDevice())
	if err != nil {
		return nil, err
	}
	out := &v1.ListCommandsResponse{}
	for _, w := range waiting {
		out.Commands = append(out.Commands, &v1.WaitingCommand{Id: w.ID, Name: w.Name, Stored: w.Stored.UnixMilli(), Expires: w.Expires.UnixMilli()})
	}
	return out, nil
}

// Cancel implements v1.CommandsServer.
func (c *commands) Cancel(ctx context.Context, q *v1.CancelRequest) (*v1.CancelResponse, error) {
	tenant, err := c.s.device(callOf(ctx), q.GetTenant(), q.GetDevice())
	if err != nil {
		return nil, err
	}
	id := q.GetId()
	switch q.GetWhat().(type) {
	case *v1.CancelRequest_Id:
		if id == "" || len(id) > maxCommandID {
			return nil, invalid("id", fmt.Sprintf("id has %d bytes: give 1 to %d, or all", len(id), maxCommandID))
		}
	case *v1.CancelRequest_All:
		if !q.GetAll() {
			return nil, invalid("all", "all is false: give true, or an id")
		}
	default:
		return nil, invalid("what", "it is not said which: give an id, or all")
	}
	callOf(ctx).note(zap.String("command_id", id))
	n, err := c.s.node.Commands.CancelCommands(ctx, tenant, q.GetDevice(), id)
	if err != nil {
		return nil, err
	}
	return &v1.CancelResponse{Cancelled: uint32(n)}, nil //nolint:gosec // few may wait for a device
}
