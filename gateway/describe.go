package gateway

import (
	"encoding/json"

	"edgeloop/devicemgr"
	"edgeloop/envelope"
)

// LinkInfo is what a list of devices shows of a connection.
type LinkInfo struct {
	Protocol    string // "" for raw
	InFlight    int    // messages on their way
	OutBuffered int    // bytes posted that the loop has not yet taken
}

// DescribeLink is a snapshot of a session's link; false when there is none.
func DescribeLink(from devicemgr.Link) (LinkInfo, bool) {
	l, ok := from.(*link)
	if !ok {
		return LinkInfo{}, false
	}
	return LinkInfo{
		Protocol:    l.codec().Name(),
		InFlight:    int(l.received.Load() - l.settled.Load()), //nolint:gosec // at most a window and a read
		OutBuffered: l.conn.Queued(),
	}, true
}

// JSON is the reply's data as JSON: as it is, as a string where it is no JSON,
// or what went wrong where the device said so.
func (r Reply) JSON() json.RawMessage {
	switch {
	case len(r.Data) > 0 && envelope.ValidJSON(r.Data):
		return r.Data
	case len(r.Data) > 0:
		out, err := json.Marshal(r.Data) // base64
		if err != nil {
			return json.RawMessage("null")
		}
		return out
	case !r.OK && (r.Code != "" || r.Text != ""):
		out, err := json.Marshal(map[string]string{"code": r.Code, "message": r.Text})
		if err != nil {
			return json.RawMessage("null")
		}
		return out
	}
	return json.RawMessage("null")
}
