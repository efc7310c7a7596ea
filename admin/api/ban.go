package api

import "time"

// Ban keeps one device out, whether it is known or not.
type Ban struct {
	Tenant string `json:"tenant"`
	Device string `json:"device"`
	// Reason is shown to operators, at most MaxReason bytes.
	Reason string `json:"reason,omitempty"`
	// Until is when the ban ends; nil means never.
	Until *time.Time `json:"until,omitempty"`
}

// BanPage is one page of bans in the order of tenant and name.
type BanPage struct {
	Bans []Ban `json:"bans"`
	// Next is given to ?after= for the following page; absent on the last.
	Next string `json:"next,omitempty"`
}

// AddressBan keeps one address out for a while, because peers that had it failed too often to
// prove who they are.
type AddressBan struct {
	// Address is it; of IPv6 its network, as in 2001:db8::/64.
	Address string `json:"address"`
	// Until is when the ban ends.
	Until time.Time `json:"until"`
	// Times is how many bans it has had that time has not forgiven; each is twice as long.
	Times int `json:"times"`
	// Failed is when it failed the last time.
	Failed time.Time `json:"failed"`
}

// AddressBanPage is one page of them in the order of the addresses' text.
type AddressBanPage struct {
	Bans []AddressBan `json:"bans"`
	// Next is given to ?after= for the following page; absent on the last.
	Next string `json:"next,omitempty"`
}

// MaxReason is the longest reason of a ban or a close, in bytes: what fits into
// a close frame beside its code.
const MaxReason = 123

// KickRequest is the body of a disconnect; both fields may be left out.
type KickRequest struct {
	// Code is the WebSocket close code, 1008 when it is 0.
	Code uint16 `json:"code,omitempty"`
	// Reason is sent to the device with the code.
	Reason string `json:"reason,omitempty"`
}
