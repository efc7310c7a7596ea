package gateway

// A Drop says why something was refused, dropped or held back. The list is
// closed; it labels the metric edgeloop_gateway_drops_total, and docs/operations.md
// says of each what an operator does about it.
type Drop uint8

// The drops.
const (
	DropBadEnvelope       Drop = iota // a message that is not of the protocol; the device was told
	DropNotAllowed                    // a message, a join or a subscription that the token does not allow; the device was told
	DropDuplicate                     // a sequence that was taken in before; acknowledged again, nothing is lost
	DropLaneFull                      // held back: the lane had no room, reading pauses until it has
	DropMemoryFull                    // held back, or closed with 1013 beyond the second bound: the messages on their way reached --inflight-bytes
	DropOverRate                      // held back: the device sent more than --max-rate-bytes or --max-rate-messages
	DropOverQuota                     // held back: the tenant sent more than its quota
	DropReplaced                      // still on its lane when a newer connection took over; the device sends it again there
	DropOvertaken                     // not in the log yet when another node had written of the device; it resumes on a new connection
	DropClosed                        // the connection closed while its messages were held back
	DropPanic                         // a worker panicked over it; what follows on its connection is dropped too
	DropStopping                      // the node stopped before the message was in the log
	DropOpenPackets                   // a client of MQTT had more messages of QoS 2 in flight than are remembered; it is closed
	DropWillEarly                     // a Will that was published before its delay: as many wait as may
	DropRetainFull                    // a message of MQTT that is not retained: as much is as may be
	DropCommandOffline                // a command for a device that is not here: one never seen and without a time to live, or now or never
	DropCommandSlow                   // a command for a device that does not read, or that left while it was handed over
	DropCommandLarge                  // a command that is larger than what may wait for a device now, or than it takes
	DropCommandNotAllowed             // a command that the token of its device does not allow
	DropAuthBusy                      // a handshake refused with 503: too many are being checked
	DropNodeFull                      // a handshake refused with 503: --max-connections are here, and not this device
	DropQuotaFull                     // a handshake refused with 429: the tenant has as many connections as it may have
	DropQuotaStored                   // a message that was refused: the tenant has as many bytes in the log as it may have, or a lower sequence was refused for want of room
	DropSuperseded                    // a handshake that was late: a later one of the same device was admitted before, or its socket is gone
	DropFlapping                      // a handshake refused with 503: its device's connections take over from each other too often
	DropResetting                     // a handshake refused with 503: the sequence of the device is being reset
	DropOverloaded                    // a handshake refused with 503: the node has too much to do, and the device is not here
	DropLogAway                       // the same: the log does not say where it stands with the device
	DropDraining                      // a handshake refused with 503: the node is going away
	DropAddressRate                   // a handshake refused with 503: --max-connects-per-address
	DropPrefixRate                    // the same: --max-connects-per-prefix
	DropDeviceRate                    // the same: --max-connects-per-device
	DropTenantRate                    // the same: --max-connects-per-tenant
	DropNodeRate                      // the same: --max-connects-per-node
	DropUnauthorized                  // a handshake refused with 401
	DropKeysMissing                   // a handshake refused with 503: the key of its token is not known, and is being fetched
	DropRevoked                       // a handshake refused with 401: its token was revoked
	DropForbidden                     // a handshake refused with 403: banned, a page of another site, or a token or certificate for another device
	numDrops
)

// NumDrops is how many there are; they count from zero.
const NumDrops = int(numDrops)

// String is the metric label.
func (d Drop) String() string {
	if d >= numDrops {
		return "unknown"
	}
	return [numDrops]string{
		"bad_envelope", "not_allowed", "duplicate", "lane_full", "memory_full", "over_rate", "over_quota", "replaced", "overtaken", "closed", "panic", "stopping", "open_packets", "will_early", "retain_full",
		"command_offline", "command_slow", "command_large", "command_not_allowed", "auth_busy", "node_full", "quota_full", "quota_stored", "superseded", "flapping", "resetting", "overloaded", "log_away", "draining",
		"address_rate", "prefix_rate", "device_rate", "tenant_rate", "node_rate", "unauthorized", "keys_missing", "revoked", "forbidden",
	}[d]
}
