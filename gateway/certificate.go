package gateway

import (
	"edgeloop/auth"
	"edgeloop/devicemgr"
	"edgeloop/eventloop"
	"edgeloop/tlsrec"
)

// enough says whether a certificate lets its device in without a token. cert is nil where
// the device has shown none.
func (g *Gateway) enough(cert *tlsrec.Identity) bool {
	return cert != nil && g.cfg.CertificateIsEnough
}

// prove returns the identity that a token and a certificate stand for. The token may be empty if
// the certificate is enough, and the certificate nil. If both are given they must be for one
// device, and the one that expires first ends the connection.
func (g *Gateway) prove(token []byte, cert *tlsrec.Identity) (devicemgr.Key, *auth.Identity, *eventloop.Refusal) {
	if len(token) == 0 && g.enough(cert) {
		id := &auth.Identity{Tenant: cert.Tenant, Device: cert.Device, Expires: cert.Expires, ByCertificate: true}
		return devicemgr.Key{Tenant: id.Tenant, Device: id.Device}, id, nil
	}
	key, id, refusal := g.identifyToken(token)
	switch {
	case refusal != nil || cert == nil:
		return key, id, refusal
	case cert.Tenant != key.Tenant || cert.Device != key.Device:
		g.drops[DropForbidden].Add(1)
		return devicemgr.Key{}, nil, &eventloop.Refusal{Reason: eventloop.ReasonForbidden, Text: "the token and the certificate are for two devices"}
	case id.Expires.IsZero() || cert.Expires.Before(id.Expires):
		both := *id
		both.Expires = cert.Expires
		id = &both
	}
	return key, id, nil
}

// certifyOnLoop makes the connection end with its certificate at the latest, whatever a newer token
// says.
func (l *link) certifyOnLoop() {
	cert := l.conn.CertificateOnLoop()
	if cert == nil {
		return
	}
	end, now := expiryOf(cert.Expires), l.expires.Load()
	if end != 0 && (now == 0 || end < now) {
		l.expires.CompareAndSwap(now, end) // else one more token has come, and its wake is on the way
	}
}
