package gateway

import (
	"encoding/base64"
	"encoding/json"
	"net"

	"edgeloop/devicemgr"
	"edgeloop/envelope"
	"edgeloop/eventloop"
)

// LinkInfo is what a list of devices shows of a connection.
type LinkInfo struct {
	Protocol    string       // "" for raw
	InFlight    int          // messages on their way
	OutBuffered int          // bytes posted that the loop has not yet taken
	Remote      *net.TCPAddr // of the peer; nil: not known. Shared, never written
}

// DescribeLink is a snapshot of the connection of a device; false when there is none. Any
// goroutine.
func DescribeLink(d *DeviceInfo) (LinkInfo, bool) {
	l := d.Link
	if l == nil || l.conn == nil {
		return LinkInfo{}, false
	}
	return LinkInfo{
		Protocol:    l.dialect.protocol().name(),
		InFlight:    int(l.onWay.Load() / oneMessage),
		OutBuffered: l.conn.Queued(),
		Remote:      l.remote,
	}, true
}

// DescribeEnd is the cause of the end of a device's last connection, "" where it is not
// known.
func DescribeEnd(e devicemgr.End) string {
	switch e.Cause {
	case devicemgr.EndElsewhere:
		return "elsewhere"
	case 0:
		return ""
	}
	return eventloop.Cause(e.Cause).String()
}

// JSON is the reply's data as JSON: as it is, or as a string in base64 where it is
// no JSON, which encoding says then.
func (r Reply) JSON() (data json.RawMessage, encoding string) {
	switch {
	case len(r.Data) == 0:
		return json.RawMessage("null"), ""
	case envelope.ValidJSON(r.Data):
		return r.Data, ""
	}
	out := base64.StdEncoding.AppendEncode([]byte{'"'}, r.Data)
	return append(out, '"'), "base64"
}
