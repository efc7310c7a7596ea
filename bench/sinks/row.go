package sinks

// Peer is what was measured of mosquitto and Telegraf, in one round.
type Peer struct {
	Row
	Steady Load `json:"steady"` // both
	Away   Load `json:"away"`   // mosquitto alone
}

// Row is what was measured with one kind of destination. Times are in milliseconds.
type Row struct {
	Kind string `json:"kind"`
	// Failed is why a part is missing; what was measured before stands.
	Failed string `json:"failed,omitempty"`

	// With devices at the rate: the sink paused, what the others are compared with; its
	// destination well, or down; over a backlog of Waited, which it works off. Left of it is what
	// still waited at the end of the round that left least: 0 says that devices were alone again
	// for a part.
	Alone    Felt   `json:"alone"`
	Well     Felt   `json:"well"`
	Down     Felt   `json:"down"`
	Catching Felt   `json:"catching"`
	Waited   uint64 `json:"waited"`
	Left     uint64 `json:"left"`

	Behind uint64 `json:"behind"` // records that waited at the end of the time in which latency was measured
	// Latency at that rate, or at the lower one that the sink keeps up with.
	Latency     Latency `json:"latency"`
	LatencyRate int     `json:"latency_rate"`

	// Without devices, while the sink works off a backlog.
	Worked   uint64  `json:"worked_records"`
	WorkedS  float64 `json:"worked_s"`
	WorkCPUS float64 `json:"worked_node_cpu_s"`
}

// Load is what edgebench telemetry said.
type Load struct {
	PerSecond float64 `json:"messages_per_s"`
	AckP50    float64 `json:"ack_p50_ms"`
	AckP99    float64 `json:"ack_p99_ms"`
	Cores     float64 `json:"server_cores"`
	Warnings  string  `json:"warnings,omitempty"`
}

// Latency is from the time that a device put into its message to the time at which the
// destination had it.
type Latency struct {
	Records int     `json:"records"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
}

// perSecond and perCore are records a second of a sink that works off a backlog, and of a core
// of the node; micros is the node's CPU for one.
func (r Row) perSecond() float64 { return ratio(float64(r.Worked), r.WorkedS) }

func (r Row) perCore() float64 { return ratio(float64(r.Worked), r.WorkCPUS) }

func (r Row) micros() float64 { return ratio(r.WorkCPUS*1e6, float64(r.Worked)) }

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
