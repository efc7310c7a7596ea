package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"edgeloop/admin/api"
)

// Node says what the node is and does.
func (c *Client) Node(ctx context.Context) (n api.Node, err error) {
	_, err = c.call(ctx, http.MethodGet, "/v1/node", nil, nil, &n)
	return n, err
}

// Live says whether the node's process answers; it needs no token.
func (c *Client) Live(ctx context.Context) error {
	_, err := c.call(ctx, http.MethodGet, "/healthz", nil, nil, nil)
	return err
}

// Ready says whether the node is ready for devices, and if not, why; it needs no
// token. An error says that no node answered.
func (c *Client) Ready(ctx context.Context) (r api.Readiness, err error) {
	res, err := c.do(ctx, http.MethodGet, "/readyz", nil, nil, "application/json")
	if err != nil {
		return r, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK && res.StatusCode != http.StatusServiceUnavailable {
		return r, problemOf(res)
	}
	if err := json.NewDecoder(http.MaxBytesReader(nil, res.Body, maxReply)).Decode(&r); err != nil {
		return r, fmt.Errorf("GET /readyz: read the reply: %w", err)
	}
	return r, nil
}

// Drain starts a drain over window, 0 for the node's own; Node shows its progress.
func (c *Client) Drain(ctx context.Context, window time.Duration) (n api.Node, err error) {
	_, err = c.call(ctx, http.MethodPost, "/v1/drain", nil, api.DrainRequest{Window: api.Duration(window)}, &n)
	return n, err
}

// Reload has the node read its keys, tokens and settings again.
func (c *Client) Reload(ctx context.Context) (out api.Reloaded, err error) {
	_, err = c.call(ctx, http.MethodPost, "/v1/reload", nil, nil, &out)
	return out, err
}

// Limits lists every limit.
func (c *Client) Limits(ctx context.Context) ([]api.Limit, error) {
	var l api.Limits
	_, err := c.call(ctx, http.MethodGet, "/v1/limits", nil, nil, &l)
	return l.Limits, err
}

// SetLimits changes all the named limits or none; a value is a number, a
// duration string, or nil for what was given at the start. It returns all limits as they are then.
func (c *Client) SetLimits(ctx context.Context, values map[string]any) ([]api.Limit, error) {
	var l api.Limits
	_, err := c.call(ctx, http.MethodPatch, "/v1/limits", nil, values, &l)
	return l.Limits, err
}

// Tenant says what a tenant may use, and what it uses.
func (c *Client) Tenant(ctx context.Context, tenant string) (t api.Tenant, err error) {
	_, err = c.call(ctx, http.MethodGet, "/v1/tenants/"+url.PathEscape(tenant), nil, nil, &t)
	return t, err
}

// SetTenant is SetLimits for the quotas of a tenant.
func (c *Client) SetTenant(ctx context.Context, tenant string, values map[string]any) (t api.Tenant, err error) {
	_, err = c.call(ctx, http.MethodPatch, "/v1/tenants/"+url.PathEscape(tenant)+"/limits", nil, values, &t)
	return t, err
}

// Devices is one page of devices; Limit 0 takes the node's default.
func (c *Client) Devices(ctx context.Context, q api.DeviceQuery) (page api.DevicePage, err error) {
	query := make(url.Values)
	setString(query, "tenant", q.Tenant)
	setString(query, "prefix", q.Prefix)
	setString(query, "group", q.Group)
	setString(query, "after", q.After)
	if q.Online != nil {
		query.Set("online", strconv.FormatBool(*q.Online))
	}
	if q.Limit != 0 {
		query.Set("limit", strconv.Itoa(q.Limit))
	}
	_, err = c.call(ctx, http.MethodGet, "/v1/devices", query, nil, &page)
	return page, err
}

// AllDevices goes through every page from q.After on. After an error it ends.
func (c *Client) AllDevices(ctx context.Context, q api.DeviceQuery) iter.Seq2[api.Device, error] {
	return func(yield func(api.Device, error) bool) {
		for {
			page, err := c.Devices(ctx, q)
			if err != nil {
				yield(api.Device{}, err)
				return
			}
			for _, d := range page.Devices {
				if !yield(d, nil) {
					return
				}
			}
			if q.After = page.Next; q.After == "" {
				return
			}
		}
	}
}

// Device is one device, connected or remembered.
func (c *Client) Device(ctx context.Context, tenant, device string) (d api.Device, err error) {
	_, err = c.call(ctx, http.MethodGet, devicePath("devices", tenant, device), nil, nil, &d)
	return d, err
}

// Send sends a command and waits up to wait for the reply; 0 does not wait. A
// reply that does not come in time is a Problem with status 504 and the ID.
func (c *Client) Send(ctx context.Context, tenant, device string, cmd api.CommandRequest, wait time.Duration) (api.CommandResult, error) {
	query := make(url.Values)
	if wait > 0 {
		query.Set("wait", wait.String())
	}
	var answer struct {
		api.Reply
		State   api.CommandState `json:"state"`
		Expires *time.Time       `json:"expires"`
	}
	body := struct {
		api.CommandRequest
		TTL *api.Duration `json:"ttl,omitempty"`
	}{CommandRequest: cmd}
	if cmd.Now || cmd.TTL != 0 {
		body.TTL = &cmd.TTL
	}
	status, err := c.call(ctx, http.MethodPost, devicePath("devices", tenant, device)+"/commands", query, body, &answer)
	if err != nil {
		return api.CommandResult{}, err
	}
	res := api.CommandResult{ID: answer.ID, State: answer.State, Expires: answer.Expires}
	if status == http.StatusOK {
		res.State, res.Reply = api.CommandReplied, answer.Reply
	}
	return res, nil
}

// WaitingCommands lists the commands that wait for a device, oldest first.
func (c *Client) WaitingCommands(ctx context.Context, tenant, device string) ([]api.WaitingCommand, error) {
	var w api.WaitingCommands
	_, err := c.call(ctx, http.MethodGet, devicePath("devices", tenant, device)+"/commands", nil, nil, &w)
	return w.Commands, err
}

// CancelCommands takes back the command of that id that waits for a device, or all for
// "", and says how many that were.
func (c *Client) CancelCommands(ctx context.Context, tenant, device, id string) (int, error) {
	query := make(url.Values)
	setString(query, "id", id)
	var out api.Cancelled
	_, err := c.call(ctx, http.MethodDelete, devicePath("devices", tenant, device)+"/commands", query, nil, &out)
	return out.Cancelled, err
}

// Broadcast hands a command to every connected device that is selected.
func (c *Client) Broadcast(ctx context.Context, b api.Broadcast) (res api.BroadcastResult, err error) {
	_, err = c.call(ctx, http.MethodPost, "/v1/broadcast", nil, b, &res)
	return res, err
}

// Kick closes a device's connection; the zero KickRequest takes the node's words.
func (c *Client) Kick(ctx context.Context, tenant, device string, k api.KickRequest) error {
	_, err := c.call(ctx, http.MethodDelete, devicePath("devices", tenant, device)+"/connection", nil, k, nil)
	return err
}

// Reset has the sequences of a device begin again.
func (c *Client) Reset(ctx context.Context, tenant, device string) (out api.Reset, err error) {
	_, err = c.call(ctx, http.MethodPost, devicePath("devices", tenant, device)+"/reset", nil, nil, &out)
	return out, err
}

// Ban keeps a device out.
func (c *Client) Ban(ctx context.Context, b api.Ban) error {
	body := struct {
		Reason string     `json:"reason,omitempty"`
		Until  *time.Time `json:"until,omitempty"`
	}{b.Reason, b.Until}
	_, err := c.call(ctx, http.MethodPut, devicePath("bans", b.Tenant, b.Device), nil, body, nil)
	return err
}

// Unban lets a device in again; a Problem with status 404 when it was not banned.
func (c *Client) Unban(ctx context.Context, tenant, device string) error {
	_, err := c.call(ctx, http.MethodDelete, devicePath("bans", tenant, device), nil, nil, nil)
	return err
}

// Bans is one page of bans, of a tenant or of all; after is the Next of the
// page before.
func (c *Client) Bans(ctx context.Context, tenant, after string) (page api.BanPage, err error) {
	query := make(url.Values)
	setString(query, "tenant", tenant)
	setString(query, "after", after)
	_, err = c.call(ctx, http.MethodGet, "/v1/bans", query, nil, &page)
	return page, err
}

// AddressBans is one page of the addresses that are kept out for a while.
func (c *Client) AddressBans(ctx context.Context, after string) (page api.AddressBanPage, err error) {
	query := make(url.Values)
	setString(query, "after", after)
	_, err = c.call(ctx, http.MethodGet, "/v1/address-bans", query, nil, &page)
	return page, err
}

// UnbanAddress lets an address in again; a Problem with status 404 when it was not kept out.
func (c *Client) UnbanAddress(ctx context.Context, addr string) error {
	_, err := c.call(ctx, http.MethodDelete, "/v1/address-bans/"+url.PathEscape(addr), nil, nil, nil)
	return err
}

// Revoke takes tokens back, and returns what is in force.
func (c *Client) Revoke(ctx context.Context, r api.RevocationRequest) (out api.Revocation, err error) {
	_, err = c.call(ctx, http.MethodPost, "/v1/revocations", nil, r, &out)
	return out, err
}

// LiftRevocation ends a revocation; a Problem with status 404 when there was none.
func (c *Client) LiftRevocation(ctx context.Context, id string) error {
	_, err := c.call(ctx, http.MethodDelete, "/v1/revocations/"+url.PathEscape(id), nil, nil, nil)
	return err
}

// Revocations is one page of revocations, of a tenant or of all; after is the Next of the
// page before.
func (c *Client) Revocations(ctx context.Context, tenant, after string) (page api.RevocationPage, err error) {
	query := make(url.Values)
	setString(query, "tenant", tenant)
	setString(query, "after", after)
	_, err = c.call(ctx, http.MethodGet, "/v1/revocations", query, nil, &page)
	return page, err
}

func setString(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

// TrimLog removes the oldest records of the node's own log.
func (c *Client) TrimLog(ctx context.Context, t api.LogTrim) (out api.LogTrimmed, err error) {
	body := map[string]any{"past_sinks": t.PastSinks, "forget_devices": t.ForgetDevices}
	if t.Before.IsZero() {
		body["to"] = t.To.String()
	} else {
		body["before"] = t.Before
	}
	_, err = c.call(ctx, http.MethodPost, "/v1/log/trim", nil, body, &out)
	return out, err
}

// Backup writes a backup of the node's own log to w, unchecked.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	res, err := c.send(ctx, http.MethodPost, "/v1/log/backup", nil, nil, "application/x-tar")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if _, err := io.Copy(w, res.Body); err != nil {
		return fmt.Errorf("read the backup: %w", err)
	}
	return nil
}
