package gateway

import (
	"edgeloop/envelope"
	"edgeloop/mqttproto"
)

// reasonOfFault is how a PUBLISH is answered that was refused with a fault.
func reasonOfFault(f *envelope.Fault) mqttproto.ReasonCode {
	switch f.Code {
	case envelope.CodeNotAllowed:
		return mqttproto.ReasonNotAuthorized
	case envelope.CodeQuota:
		return mqttproto.ReasonQuotaExceeded
	}
	return mqttproto.ReasonImplementation
}
