package grpcapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"edgeloop/admin"
	"edgeloop/admin/access"
	"edgeloop/admin/api"
	"edgeloop/backbone/reader"
	"edgeloop/backbone/store"
)

// retryAfter is when a caller may come back whom the node could not serve, where nothing else is
// said.
const retryAfter = time.Second

// domain is that of the reasons in google.rpc.ErrorInfo.
const domain = "edgeloop"

// errStopping ends calls with the node.
var errStopping = errors.New("the node stops")

// refusal is a status with a reason for programs.
func refusal(code codes.Code, reason, text string, details ...protoadapt.MessageV1) error {
	return refusalFor(retryAfter, code, reason, text, details...)
}

// refusalFor is refusal with when to come back, where that may help.
func refusalFor(again time.Duration, code codes.Code, reason, text string, details ...protoadapt.MessageV1) error {
	s := status.New(code, text)
	if code == codes.Unavailable || code == codes.ResourceExhausted {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(again)})
	}
	full, err := s.WithDetails(append([]protoadapt.MessageV1{&errdetails.ErrorInfo{Reason: reason, Domain: domain}}, details...)...)
	if err != nil {
		return s.Err()
	}
	return full.Err()
}

// invalid refuses the value of a field.
func invalid(field, text string) error {
	return refusal(codes.InvalidArgument, "invalid-field", text, &errdetails.BadRequest{
		FieldViolations: []*errdetails.BadRequest_FieldViolation{{Field: field, Description: text}},
	})
}

// statusOf is the one place where an error becomes a status. internal: its text is not for
// the caller. ctx is that of the call.
func statusOf(ctx context.Context, err error) (internal bool, st error) {
	if err == nil {
		return false, nil
	}
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, context.Canceled) {
		err = cause
	}
	var beyond *reader.PositionError
	switch {
	case errors.Is(err, errStopping):
		return false, refusal(codes.Unavailable, "stopping", "the node stops: call again, or another node")
	case errors.Is(err, access.ErrNoLonger):
		return false, refusal(codes.Unauthenticated, "unauthorized", "the token is no longer valid: get another one")
	case errors.Is(err, store.ErrTaken):
		return false, refusal(codes.Aborted, "reader-taken", "another call has opened this reader since, or moved its place: give each program a reader of its own, or call again to take it back")
	case errors.As(err, &beyond):
		text := strings.TrimPrefix(beyond.Error(), "backbone: ")
		return false, refusal(codes.FailedPrecondition, "other-log", text+": call Seek to say where the reader goes on")
	case errors.Is(err, context.Canceled):
		return false, status.Error(codes.Canceled, "the caller has left")
	}
	if _, ok := status.FromError(err); ok {
		return false, err
	}
	p := admin.ProblemOf(err)
	return p.Status == http.StatusInternalServerError, statusOfProblem(p, retryAfter)
}

// statusOfProblem says in gRPC what the REST API says in HTTP, and when to come back.
func statusOfProblem(p *api.Problem, again time.Duration) error {
	reason := strings.TrimPrefix(p.Type, "urn:edgeloop:problem:")
	text := p.Title
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	if len(p.Allowed) > 0 {
		text += fmt.Sprintf(" (allowed: %s)", strings.Join(p.Allowed, ", "))
	}
	if p.Field != "" && p.Status == http.StatusUnprocessableEntity {
		return invalid(p.Field, text)
	}
	return refusalFor(again, codeOf(reason, p.Status), reason, text)
}

func codeOf(reason string, status int) codes.Code {
	switch status {
	case http.StatusBadRequest, http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		return codes.InvalidArgument
	case http.StatusUnauthorized:
		return codes.Unauthenticated
	case http.StatusForbidden:
		return codes.PermissionDenied
	case http.StatusNotFound:
		return codes.NotFound
	case http.StatusGatewayTimeout:
		return codes.DeadlineExceeded
	case http.StatusTooManyRequests:
		return codes.ResourceExhausted
	case http.StatusServiceUnavailable:
		if reason == "device-busy" {
			return codes.ResourceExhausted
		}
		return codes.Unavailable
	}
	return codes.Internal
}
