package api

import "time"

// Device is one device that is connected, or was and is still remembered.
// A list may leave the optional fields empty where they cost too much to find.
type Device struct {
	Tenant string `json:"tenant"`
	Device string `json:"device"`
	Online bool   `json:"online"`

	// Epoch is the number of the connection; it grows with each new one.
	Epoch uint64 `json:"epoch"`
	// LastSeen is when the device last gave a sign of life, an answer to a ping included, in
	// whole seconds, rounded down: of a device that has just come it may lie before ConnectedAt.
	LastSeen time.Time `json:"last_seen"`
	// Durable is the highest sequence that is in the log, 0 if there is none.
	Durable uint64 `json:"durable"`

	// Groups the device has joined.
	Groups []string `json:"groups,omitempty"`
	// ConnectedAt is when the connection was admitted; absent when offline.
	ConnectedAt *time.Time `json:"connected_at,omitempty"`
	// Remote is the address of the socket, host:port; absent when offline.
	Remote string `json:"remote,omitempty"`
	// DisconnectedAt, DisconnectCode and DisconnectReason say how the last connection
	// ended; absent when online, and where it is not known: the node has started since.
	// The reason is a cause as in edgeloop_eventloop_closes_total, or "elsewhere".
	DisconnectedAt   *time.Time `json:"disconnected_at,omitempty"`
	DisconnectCode   uint16     `json:"disconnect_code,omitempty"`
	DisconnectReason string     `json:"disconnect_reason,omitempty"`
	// Protocol is the subprotocol, absent for raw.
	Protocol string `json:"protocol,omitempty"`
	// InFlight counts messages taken in and not yet acknowledged.
	InFlight int `json:"in_flight,omitempty"`
	// OutBuffered is how many bytes wait for the device to read them.
	OutBuffered int `json:"out_buffered,omitempty"`
	// Banned says that the device may not connect.
	Banned bool `json:"banned,omitempty"`
}

// DeviceQuery selects one page of devices. The zero value of a field selects all.
type DeviceQuery struct {
	Tenant string
	// Prefix of the device's name.
	Prefix string
	// Group the device has joined, within Tenant ("default" when that is empty).
	Group string
	// Online selects by connection; nil selects both.
	Online *bool
	// Limit is the size of the page, 1 to MaxPage.
	Limit int
	// After is the Next of the page before, "" for the first.
	After string
}

// MaxPage is the largest page of a list; DefaultPage is used when none is named.
const (
	MaxPage     = 1000
	DefaultPage = 100
)

// DevicePage is one page of devices in the order of tenant and name.
type DevicePage struct {
	Devices []Device `json:"devices"`
	// Next is given to ?after= for the following page; absent on the last.
	Next string `json:"next,omitempty"`
}

// Reset is what a reset of a device's sequences did.
type Reset struct {
	Tenant string `json:"tenant"`
	Device string `json:"device"`
	// Was is the highest durable sequence before; it is 0 now.
	Was uint64 `json:"was"`
	// Epoch is that of the reset. Whatever the device sends from then on has a higher one.
	Epoch uint64 `json:"epoch"`
}
