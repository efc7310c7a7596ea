package api

import "time"

// A ReaderKind says what a reader is.
type ReaderKind string

// The kinds of readers.
const (
	ReaderGRPC    ReaderKind = "grpc"       // a service by gRPC
	ReaderSession ReaderKind = "mqtt"       // the kept session of an application by MQTT
	ReaderGroup   ReaderKind = "mqtt-share" // a shared subscription of such applications
)

// Reader is a reader of the log that has a place.
type Reader struct {
	// Tenant whose records it gets; "" are those of all.
	Tenant string     `json:"tenant"`
	Kind   ReaderKind `json:"kind"`
	// Reader is its name: of a session the client identifier, of a shared subscription GROUP/FILTER.
	Reader string `json:"reader"`
	// Place is the position up to which it has acknowledged all.
	Place string `json:"place"`
	// Missed records were taken by retention first, in all the reader's life.
	Missed uint64 `json:"missed"`
	// LagRecords is about how many records lie behind Place, of all tenants; nil: it is not
	// known.
	LagRecords *uint64 `json:"lag_records,omitempty"`
	// Left is since when the client of a session is away; nil: it is here, or a node has crashed
	// since, or the reader is no session.
	Left *time.Time `json:"left,omitempty"`
}

// Readers is all of them, by tenant, kind and name.
type Readers struct {
	Readers []Reader `json:"readers"`
}
