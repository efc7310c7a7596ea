package mqttapi

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin/access"
	"edgeloop/backbone/reader"
	"edgeloop/eventloop"
	"edgeloop/mqttproto"
)

// Accept implements eventloop.Acceptor. The connection of an application is one whose CONNECT
// has an admin token as password; whatever else comes is a device's.
func (s *Server) Accept(conn *eventloop.Conn, h *eventloop.Hello) (eventloop.Receiver, *eventloop.Refusal) {
	roster, early := s.roster.Load(), false
	if roster == nil {
		roster, early = s.cfg.Early, true
	}
	if h.Connect == nil || roster == nil {
		return s.cfg.Devices.Accept(conn, h) //nolint:wrapcheck // it is no error
	}
	p, _, _, err := mqttproto.Next(h.Connect, 0, mqttproto.MaxPacket)
	if err != nil {
		return s.cfg.Devices.Accept(conn, h)
	}
	m, err := mqttproto.DecodeConnect(p)
	if err != nil || len(m.Password) < access.MinToken || len(m.Password) > maxToken {
		return s.cfg.Devices.Accept(conn, h)
	}
	holder, err := roster.Find(string(m.Password))
	switch {
	case err != nil:
		return nil, s.refuse(refusedToken, eventloop.ReasonUnauthorized, err.Error())
	case holder == nil:
		return s.cfg.Devices.Accept(conn, h)
	case early:
		return nil, &eventloop.Refusal{Reason: eventloop.ReasonUnavailable, Text: "this node is starting", RetryAfter: time.Second}
	}
	c, refusal := s.admit(conn, h, &m, holder)
	if refusal != nil {
		s.auditLog.Info("refused through MQTT", zap.String("principal", holder.Name), zap.String("reason", refusal.Text), zap.Stringer("remote", h.Remote))
		return nil, refusal
	}
	if refusal := s.join(c); refusal != nil {
		c.end(errGone)
		return nil, refusal
	}
	go s.serve(c, h, holder)
	return nil, nil
}

// maxToken is the longest admin token that is looked for, bytes: it is hashed on the loop, before
// anybody knows whose it is.
const maxToken = 1 << 10

// admit says who an application is, or why it may not come. What it takes of m and h, it
// copies.
func (s *Server) admit(conn *eventloop.Conn, h *eventloop.Hello, m *mqttproto.Connect, holder *access.Holder) (*client, *eventloop.Refusal) {
	tenant, refusal := s.tenantOf(m, holder)
	switch {
	case refusal != nil:
		return nil, refusal
	case !holder.Scopes.Has(access.Read):
		return nil, s.refuse(refusedScope, eventloop.ReasonForbidden, fmt.Sprintf("this needs the scope %s, the token %s has %s: use another token, or give it the scope", access.Read, holder.Name, holder.Scopes))
	case !s.cfg.AllowPlain && !s.cfg.Private(h.Listener) && !h.Remote.Addr().Unmap().IsLoopback():
		return nil, s.refuse(refusedPlain, eventloop.ReasonForbidden, "an admin token crossed the network in the clear: connect by TLS, and make a new token; --mqtt-apps=any allows it where the network is trusted")
	case m.Properties.Has(mqttproto.PropAuthMethod): // [MQTT-4.12.0-1]
		return nil, s.refuse(refusedToken, eventloop.ReasonUnauthorized, "this node has no authentication method: send the token as password")
	case m.Will.Set: // [MQTT-3.2.2-6]
		return nil, s.refuse(refusedWill, eventloop.ReasonForbidden, "an application has no Will: it publishes nothing but commands")
	case len(m.ClientID) > maxID:
		return nil, s.refuse(refusedID, eventloop.ReasonName, fmt.Sprintf("the client identifier has %d bytes: give at most %d", len(m.ClientID), maxID))
	}
	c := &client{
		s: s, conn: conn, peer: mqttproto.PeerOf(m), who: &holder.Principal, tenant: tenant, id: string(m.ClientID),
		remote: h.Remote.String(), clean: m.Clean, asked: m.Properties.Uint(mqttproto.PropSessionExpiry, 0),
		silence: time.Duration(m.KeepAlive) * time.Second * 3 / 2,
		done:    make(chan struct{}), arrived: make(chan struct{}, 1),
		out: outbox{conn: conn, room: make(chan struct{}, 1)},
	}
	c.window = newWindow(int(min(m.Properties.Uint(mqttproto.PropReceiveMaximum, 65_535), uint32(s.cfg.Window)))) //nolint:gosec // a small number
	if c.id == "" {
		// [MQTT-3.1.3-6] [MQTT-3.1.3-7]
		c.id, c.made = "app-"+strings.ToLower(rand.Text()), true
	}
	if m.Version == mqttproto.V311 && !m.Clean { // [MQTT3-3.1.2-4]
		c.asked = neverExpires
	}
	if limit := s.cfg.IdleTimeout.Truncate(time.Second) * 3 / 2; m.Version == mqttproto.V5 && (c.silence == 0 || c.silence > limit) {
		c.silence, c.told = max(limit, 3*time.Second/2), true
	}
	c.session.Expiry = c.asked
	c.ctx, c.end = context.WithCancelCause(context.Background())
	return c, nil
}

// maxID is the longest client identifier: the name of a place has 256 bytes, and that of a
// tenant 128.
const maxID = 100

// tenantOf is the tenant that an application asks for by its user name: that of its token, or
// none, which is the same; or any, with a token for all.
func (s *Server) tenantOf(m *mqttproto.Connect, holder *access.Holder) (string, *eventloop.Refusal) {
	asked := string(m.User)
	if asked != "" {
		if err := s.cfg.CheckName("tenant", asked); err != nil {
			return "", s.refuse(refusedTenant, eventloop.ReasonForbidden, "the user name is the tenant to read: "+err.Error())
		}
	}
	tenant, ok := holder.TenantOf(asked)
	if !ok {
		return "", s.refuse(refusedTenant, eventloop.ReasonForbidden, fmt.Sprintf("the token %s is bound to the tenant %s: give that as user name, or none", holder.Name, holder.Tenant))
	}
	if tenant == "" {
		tenant = defaultTenant
	}
	return tenant, nil
}

// defaultTenant is read where nobody says another one.
const defaultTenant = "default"

func (s *Server) refuse(why Refused, reason eventloop.Reason, text string) *eventloop.Refusal {
	s.counts.refused[why].Add(1)
	return &eventloop.Refusal{Reason: reason, Text: text}
}

// serve is one connection of an application, from its CONNECT to its end.
func (s *Server) serve(c *client, h *eventloop.Hello, holder *access.Holder) {
	defer s.part(c)
	defer func() { _ = s.guarded(func() error { s.leaveGroups(c); return nil }) }()
	ctx, endHold := holder.Within(c.ctx)
	defer endHold()
	var refusal *eventloop.Refusal
	err := s.guarded(func() (err error) { refusal, err = s.open(ctx, c); return err })
	switch {
	case err != nil:
		s.log.Warn("cannot open the session of an application", zap.String("client", c.id), zap.Error(err))
		h.Refuse(&eventloop.Refusal{Reason: eventloop.ReasonUnavailable, Text: "the log does not answer", RetryAfter: eventloop.Spread(s.cfg.RetryAfter)})
		return
	case refusal != nil:
		h.Refuse(refusal)
		return
	}
	s.auditLog.Info("reads through MQTT", zap.String("principal", c.who.Name), zap.String("tenant", c.tenant), zap.String("client", c.id), zap.String("remote", c.remote))
	h.Admit(c)
	err = s.guarded(func() error { return c.work(ctx) })
	c.end(err)
	c.failed(err)
	_ = s.guarded(func() error { c.leave(err); return nil })
}

// open takes up the session of a client, or makes one.
func (s *Server) open(ctx context.Context, c *client) (*eventloop.Refusal, error) {
	if err := s.await(ctx, c); err != nil {
		return nil, err
	}
	if !c.conn.TakeSeat() {
		return s.later(refusedConnections, "this node is full"), nil
	}
	name := placeName(c.tenant, c.id)
	at, known, err := s.cfg.Log.Place(ctx, name)
	if err != nil {
		return nil, err //nolint:wrapcheck // the log says what it could not do
	}
	kept, readable := readSession(at.Note)
	if c.present = known && readable && !c.clean && !kept.over(time.Now(), s.started); known && !c.present { // [MQTT-3.1.2-4]
		if err := s.cfg.Log.Forget(ctx, name); err != nil {
			return nil, err //nolint:wrapcheck // as above
		}
	}
	if !c.present && c.asked == 0 {
		return nil, nil
	}
	if !c.present {
		if refusal, err := s.room(ctx, c.tenant); refusal != nil || err != nil {
			return refusal, err
		}
	}
	return nil, s.take(ctx, c, name, &kept)
}

// take opens the reader of a session.
func (s *Server) take(ctx context.Context, c *client, name string, kept *session) error {
	r, err := s.cfg.Log.Open(ctx, name, reader.Newest)
	var other *reader.PositionError
	if errors.As(err, &other) { // the log is not the one that the session was of
		c.present = false
		if err = s.cfg.Log.Forget(ctx, name); err == nil {
			r, err = s.cfg.Log.Open(ctx, name, reader.Newest)
		}
	}
	if err != nil {
		return err //nolint:wrapcheck // as above
	}
	c.reader = r
	c.window.pass(r.Place().Position)
	if c.present { // [MQTT-3.1.2-5]
		expiry := c.session.Expiry
		c.session = *kept
		c.session.Expiry, c.shared = expiry, kept.Shared
	}
	edge, err := s.cfg.Log.Edge(ctx, reader.Newest)
	if err != nil {
		return err //nolint:wrapcheck // as above
	}
	oldest, err := s.cfg.Log.Edge(ctx, reader.Oldest)
	if err != nil {
		return err //nolint:wrapcheck // as above
	}
	c.live, c.judged = edge.Position, max(r.Place().Position, oldest.Position)
	give, err := c.changed(ctx, c.heldBefore(edge.Log))
	if err != nil || len(c.session.Subs) == 0 {
		return err
	}
	c.begin(edge.Log)
	give()
	for filter, sub := range c.session.Subs {
		if _, shared := isShare(filter); shared && err == nil {
			err = s.joinGroup(ctx, c, filter, sub)
		}
	}
	return err //nolint:wrapcheck // as above
}
