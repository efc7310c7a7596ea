package api

import "time"

// Revocation takes tokens back: the one with the id JTI, or all that were issued before
// Before, of a device, of a tenant (no Device), or of the node (neither).
type Revocation struct {
	ID     string `json:"id"`
	Tenant string `json:"tenant,omitempty"`
	Device string `json:"device,omitempty"`
	JTI    string `json:"jti,omitempty"`
	// Before is in whole seconds, as iat is; nil with a JTI.
	Before *time.Time `json:"before,omitempty"`
	// Until is when the revocation ends; nil means never.
	Until  *time.Time `json:"until,omitempty"`
	Reason string     `json:"reason,omitempty"`
}

// RevocationRequest is the body of a revocation.
type RevocationRequest struct {
	Tenant string `json:"tenant,omitempty"`
	Device string `json:"device,omitempty"`
	JTI    string `json:"jti,omitempty"`
	// All is said in place of a Tenant, where tokens of all tenants are meant.
	All bool `json:"all,omitempty"`
	// Before is now when it is left out.
	Before *time.Time `json:"before,omitempty"`
	Until  *time.Time `json:"until,omitempty"`
	Reason string     `json:"reason,omitempty"`
}

// RevocationPage is one page of revocations in the order of their ids.
type RevocationPage struct {
	Revocations []Revocation `json:"revocations"`
	// Next is given to ?after= for the following page; absent on the last.
	Next string `json:"next,omitempty"`
}

// MaxJTI is the longest id of a token, in bytes.
const MaxJTI = 256
