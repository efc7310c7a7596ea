package devicemgr

import "time"

// End says when and how the last connection of a device ended.
type End struct {
	At    time.Time // in milliseconds; zero: it is not known
	Code  uint16    // the close code; 0: there was none
	Cause uint8     // of the caller's own list, below EndElsewhere, or EndElsewhere
}

// EndElsewhere is the Cause of a connection that ended because another node has a
// newer one.
const EndElsewhere = 1<<causeBits - 1

// turned is a time in Unix milliseconds, enough until 2109, and above it the cause and
// code of an End: one word, for there is one for each device.
type turned uint64

const (
	timeBits  = 42
	codeBits  = 16
	causeBits = 64 - timeBits - codeBits
)

func came(at time.Time) turned {
	return turned(max(at.UnixMilli(), 0)) & (1<<timeBits - 1) //nolint:gosec // not negative
}

func went(e End) turned {
	return came(e.At) | turned(e.Code)<<timeBits | turned(e.Cause)<<(timeBits+codeBits)
}

// at is the zero time for none.
func (t turned) at() time.Time {
	if ms := int64(t & (1<<timeBits - 1)); ms > 0 { //nolint:gosec // 42 bits
		return time.UnixMilli(ms)
	}
	return time.Time{}
}

func (t turned) end() End {
	return End{At: t.at(), Code: uint16(t >> timeBits), Cause: uint8(t >> (timeBits + codeBits))} //nolint:gosec // their bits
}
