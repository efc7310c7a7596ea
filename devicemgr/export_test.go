package devicemgr

import "unsafe"

// SessionSize is the number of bytes in a Session.
const SessionSize = unsafe.Sizeof(Session[byte]{})

// CollideHashes leaves so few hashes that different names share them.
func (m *Manager[L]) CollideHashes() { m.hashMask = 0x0100000000000003 }

// ForgetSteps is how many sessions one departure looks at.
const ForgetSteps = forgetSteps
