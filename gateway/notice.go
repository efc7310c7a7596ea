package gateway

import (
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"edgeloop/auth"
	"edgeloop/devicemgr"
	"edgeloop/eventloop"
)

// notices bound the lines about devices that are refused, cut off or do not speak the
// protocol: an operator finds a device by them, and a fleet that errs, or somebody who
// tries tokens, does not fill the disk. Each device, or address where the device is not
// known, has a line every noticeEvery; those that share a slot share it. That is at most
// noticeSlots lines in that time, whoever comes.
type notices struct {
	// Atomic.
	slots [noticeSlots]noticeSlot
}

type noticeSlot struct {
	// Atomic.
	next atomic.Int64  // Unix milliseconds, from when on a line may be written
	kept atomic.Uint64 // lines that were not written since the last one
}

const (
	noticeSlots = 1024 // a power of two
	noticeEvery = 10 * time.Second
)

// may says whether a line may be written now, and how many were not before.
func (n *notices) may(hash uint64, now time.Time) (kept uint64, ok bool) {
	s := &n.slots[(hash^hash>>32)%noticeSlots]
	if next := s.next.Load(); now.UnixMilli() < next || !s.next.CompareAndSwap(next, now.Add(noticeEvery).UnixMilli()) {
		s.kept.Add(1)
		return 0, false
	}
	return s.kept.Swap(0), true
}

// notice writes a line about a device, or about who came from an address where key is
// zero. Any goroutine. what is constant.
func (g *Gateway) notice(what string, key devicemgr.Key, peer *net.TCPAddr, fields ...zap.Field) {
	if !g.logger.Core().Enabled(zapcore.InfoLevel) {
		return
	}
	by := key
	if by.Device == "" && peer != nil {
		by.Device = peer.IP.String()
	}
	kept, ok := g.notices.may(g.devices.Hash(by), g.clock())
	if !ok {
		return
	}
	if key.Device != "" {
		fields = append(fields, zap.String("tenant", key.Tenant), zap.String("device_id", key.Device))
	}
	if peer != nil {
		fields = append(fields, zap.Stringer("remote", peer))
	}
	if kept > 0 {
		fields = append(fields, zap.Uint64("unsaid", kept))
	}
	g.logger.Info(what, fields...)
}

// noticeRefused logs which peer was not let in. If its token was not taken, the line has the device
// that the token names, as not confirmed.
func (g *Gateway) noticeRefused(c *candidate, r *eventloop.Refusal) {
	fields := []zap.Field{zap.String("code", codeOf(r.Reason)), zap.String("reason", r.Text)}
	key := c.key
	if key.Device == "" {
		if tenant, device, ok := claimed(&c.hello.Credentials); ok {
			key = devicemgr.Key{Tenant: tenant, Device: device}
			fields = append(fields, zap.Bool("confirmed", false))
		}
	}
	g.notice("device refused", key, c.addr, fields...)
}

// maxWords is how much is written of an error that may have the peer's own words in it, in
// bytes.
const maxWords = 256

// NoticeGreeting logs a peer whose PROXY header or TLS handshake failed, and why. Any goroutine.
func (g *Gateway) NoticeGreeting(peer netip.AddrPort, err error) {
	reason := err.Error()
	reason = strings.ToValidUTF8(reason[:min(maxWords, len(reason))], "")
	g.notice("device refused", devicemgr.Key{}, net.TCPAddrFromAddrPort(peer), zap.String("code", "greeting"), zap.String("reason", reason))
}

// codeOf is a reason in one word.
func codeOf(r eventloop.Reason) string {
	return map[eventloop.Reason]string{
		eventloop.ReasonMalformed: "malformed", eventloop.ReasonName: "bad_name", eventloop.ReasonRetain: "retain", eventloop.ReasonUnauthorized: "unauthorized", eventloop.ReasonForbidden: "forbidden",
		eventloop.ReasonNotFound: "not_found", eventloop.ReasonUnavailable: "unavailable", eventloop.ReasonInternal: "internal",
	}[r]
}

// claimed is the device that a token names, which nobody has confirmed.
func claimed(h *eventloop.Credentials) (tenant, device string, ok bool) {
	if h.Connect != nil {
		c, err := decodeConnect(h.Connect)
		if err != nil || len(c.Password) == 0 {
			return "", "", false
		}
		return auth.Claimed(c.Password)
	}
	query, err := queryOf(h)
	if err != nil {
		return "", "", false
	}
	token, ok := tokenOf(h, query)
	if !ok {
		return "", "", false
	}
	return auth.Claimed(token)
}

// noticeFaultOnLane logs what was wrong with the first message of a connection that was refused.
func (l *link) noticeFaultOnLane(reason string) {
	if l.faults == 0 {
		l.g.notice("device sent a bad message", l.session.Key(), l.remote, zap.String("reason", reason))
	}
}

// closeNormal is an operator's: the purpose is fulfilled.
const closeNormal eventloop.CloseCode = 1000

// noticeGone logs how a connection ended that the node cut off for a fault or a limit.
func (l *link) noticeGone(gone *eventloop.Gone) {
	switch gone.Cause {
	case eventloop.CauseClosed:
		switch gone.Code {
		case closeNormal, eventloop.CloseGoingAway, eventloop.CloseReplaced:
			return
		}
	case eventloop.CauseProtocolError, eventloop.CauseSlowConsumer, eventloop.CausePanic, eventloop.CauseMemoryFull, eventloop.CauseStalled:
	default:
		return
	}
	l.g.notice("device was cut off", l.session.Key(), l.remote,
		zap.Stringer("cause", gone.Cause), zap.Uint16("close_code", uint16(gone.Code)))
}
