package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin/api"
)

func (s *Server) command(w http.ResponseWriter, r *http.Request) error {
	q, err := readQuery(r, "wait")
	if err != nil {
		return err
	}
	wait, err := durationParam(q, "wait", s.cfg.MaxWait)
	if err != nil {
		return err
	}
	c := api.Command{Wait: api.Duration(wait)}
	if c.Tenant, c.Device, err = s.pathDevice(r); err != nil {
		return err
	}
	obj, err := s.readObject(w, r)
	if err != nil {
		return err
	}
	if err := obj.into(map[string]any{"name": &c.Name, "data": &c.Data, "ttl": &c.TTL}); err != nil {
		return err
	}
	if err := api.CheckCommandName(c.Name); err != nil {
		return err
	}
	if raw, given := obj["ttl"]; given {
		if c.Now = c.TTL == 0 && string(raw) != "null"; !c.Now && time.Duration(c.TTL) < api.MinTTL {
			return &api.FieldError{Field: "ttl", Reason: `is less than a second, and not "0s" for now or never`, Min: "1s"}
		}
	}
	note(r, zap.String("command", c.Name))
	s.extendWrite(w, wait)
	res, err := s.node.Commands.Command(r.Context(), c)
	if err != nil {
		return err
	}
	within := wait.String()
	if s.stopping.Err() != nil {
		within = "the time that the node had left: it stops"
	}
	return writeCommandResult(w, res, within)
}

func (s *Server) waitingCommands(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	tenant, device, err := s.pathDevice(r)
	if err != nil {
		return err
	}
	waiting, err := s.node.Commands.WaitingCommands(r.Context(), tenant, device)
	if err != nil {
		return err
	}
	if waiting == nil {
		waiting = []api.WaitingCommand{}
	}
	return writeJSON(w, http.StatusOK, api.WaitingCommands{Commands: waiting})
}

func (s *Server) cancelCommands(w http.ResponseWriter, r *http.Request) error {
	q, err := readQuery(r, "id")
	if err != nil {
		return err
	}
	tenant, device, err := s.pathDevice(r)
	if err != nil {
		return err
	}
	id := q.Get("id")
	if q.Has("id") && (id == "" || len(id) > maxCommandID) { // a script's variable that is not set must not cancel all
		return &api.FieldError{Field: "id", Reason: "does not have 1 to 128 bytes", Min: 1, Max: maxCommandID}
	}
	note(r, zap.String("command_id", id))
	n, err := s.node.Commands.CancelCommands(r.Context(), tenant, device, id)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, api.Cancelled{Cancelled: n})
}

const maxCommandID = 128

func writeCommandResult(w http.ResponseWriter, res api.CommandResult, within string) error {
	switch res.State {
	case api.CommandReplied:
		res.Reply.ID = res.ID
		if res.Reply.Data == nil {
			res.Reply.Data = json.RawMessage("null")
		}
		return writeJSON(w, http.StatusOK, res.Reply)
	case api.CommandSent, api.CommandLeft:
		return writeJSON(w, http.StatusAccepted, api.Accepted{ID: res.ID, State: res.State, Expires: res.Expires})
	case api.CommandNoReply:
		p := kindNoReply.problem("the device got the command and did not answer within " + within)
		p.ID = res.ID
		return p
	}
	return fmt.Errorf("admin: command %s ended in state %q", res.ID, res.State)
}

// broadcastLimit bounds the walk over all devices, which no client waits for longer.
const broadcastLimit = time.Minute

func (s *Server) broadcast(w http.ResponseWriter, r *http.Request) error {
	if _, err := readQuery(r); err != nil {
		return err
	}
	obj, err := s.readObject(w, r)
	if err != nil {
		return err
	}
	var b api.Broadcast
	if err := obj.into(map[string]any{
		"tenant": &b.Tenant, "group": &b.Group, "all": &b.All, "name": &b.Name, "data": &b.Data,
	}); err != nil {
		return err
	}
	if err := s.checkBroadcast(r, &b); err != nil {
		return err
	}
	note(r, zap.String("tenant", b.Tenant), zap.String("group", clip(b.Group)), zap.Bool("all", b.All), zap.String("command", b.Name))
	s.extendWrite(w, broadcastLimit)
	ctx, cancel := context.WithTimeout(r.Context(), broadcastLimit)
	defer cancel()
	res, err := s.node.Commands.Broadcast(ctx, b)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusAccepted, res)
}

// checkBroadcast makes the selection explicit: nobody reaches every device by
// forgetting a field.
func (s *Server) checkBroadcast(r *http.Request, b *api.Broadcast) error {
	if err := api.CheckCommandName(b.Name); err != nil {
		return err
	}
	if b.All == (b.Tenant != "" || b.Group != "") {
		return &api.FieldError{
			Field: "all", Reason: `is needed to reach all devices, and excludes "tenant" and "group"`,
			Allowed: []string{"tenant", "tenant and group", "group", "all"},
		}
	}
	if b.All {
		_, err := tenantOf(r, anyTenant)
		return err
	}
	tenant, err := tenantOf(r, b.Tenant)
	if err != nil {
		return err
	}
	b.Tenant = cmp.Or(tenant, "default")
	return s.checkName("tenant", b.Tenant)
}
