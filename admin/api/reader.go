package api

// Reader is a reader of the log that has a place: a service by gRPC.
type Reader struct {
	// Tenant whose records it gets; "" are those of all.
	Tenant string `json:"tenant"`
	Reader string `json:"reader"`
	// Place is the position up to which it has acknowledged all.
	Place string `json:"place"`
	// Missed records were taken by retention first, in all the reader's life.
	Missed uint64 `json:"missed"`
	// LagRecords is about how many records lie behind Place, of all tenants; nil: it is not
	// known.
	LagRecords *uint64 `json:"lag_records,omitempty"`
}

// Readers is all of them, by tenant and name.
type Readers struct {
	Readers []Reader `json:"readers"`
}
