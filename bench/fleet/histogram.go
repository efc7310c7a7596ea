package fleet

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency names one histogram of a fleet.
type Latency uint8

// The histograms of a fleet.
const (
	// Handshake runs from connect to the 101 (or the welcome, where one is due): one
	// attempt, without the wait for its turn before it.
	Handshake Latency = iota
	// RoundTrip runs from the moment a message was due to its echo or ack. For
	// paced loads that moment is on the schedule, not when the fleet got round
	// to it, so a stall of the node is charged to every message it delayed
	// (coordinated omission). In a closed loop a message is due when it is sent.
	RoundTrip
	// Service runs from the write to the echo: RoundTrip without waiting to be sent.
	Service
	// Downlink runs from the time stamp in a broadcast or command to its arrival.
	Downlink
	// Absence runs from the end of a registered connection until the device is
	// registered again, with every attempt and every wait between them.
	Absence
	numLatencies
)

// String is the histogram's name in results.
func (l Latency) String() string {
	return [numLatencies]string{"handshake", "round_trip", "service", "downlink", "absence"}[l]
}

const (
	maxLatency        = int64(10 * time.Minute)
	significantDigits = 3
)

// Histograms holds one histogram of nanoseconds per Latency.
type Histograms [numLatencies]*hdrhistogram.Histogram

// NewHistograms makes empty ones: 1 µs to 10 min, three significant digits.
func NewHistograms() Histograms {
	var h Histograms
	for i := range h {
		h[i] = hdrhistogram.New(int64(time.Microsecond), maxLatency, significantDigits)
	}
	return h
}

func (h *Histograms) record(l Latency, ns int64) {
	// Out of range means a stepped clock or more than ten minutes: clamp.
	_ = h[l].RecordValue(min(max(ns, 0), maxLatency))
}

func (h *Histograms) reset() {
	for _, one := range h {
		one.Reset()
	}
}

// Merge adds what o recorded; both must have been made.
func (h *Histograms) Merge(o Histograms) {
	for i, one := range o {
		h[i].Merge(one)
	}
}

func (h *Histograms) clone() Histograms {
	var c Histograms
	for i, one := range h {
		c[i] = one.Clone()
	}
	return c
}

// Encode returns the histograms in HdrHistogram's compressed V2 encoding; empty
// ones are nil.
func (h *Histograms) Encode() ([][]byte, error) {
	out := make([][]byte, len(h))
	for i, one := range h {
		if one == nil || one.TotalCount() == 0 {
			continue
		}
		b, err := one.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
		if err != nil {
			return nil, fmt.Errorf("encode %s: %w", Latency(i), err)
		}
		out[i] = b
	}
	return out, nil
}

// DecodeHistograms reads what Encode wrote.
func DecodeHistograms(enc [][]byte) (Histograms, error) {
	h := NewHistograms()
	for i, b := range enc {
		if len(b) == 0 || i >= len(h) {
			continue
		}
		one, err := hdrhistogram.Decode(b)
		if err != nil {
			return h, fmt.Errorf("decode %s: %w", Latency(i), err)
		}
		h[i].Merge(one)
	}
	return h, nil
}
