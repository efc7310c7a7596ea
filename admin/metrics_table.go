package admin

// SeriesType is the type of a series.
type SeriesType uint8

// The types of series.
const (
	TypeCounter SeriesType = iota
	TypeGauge
	TypeHistogram
	numSeriesTypes
)

// String is the type as Prometheus spells it.
func (t SeriesType) String() string {
	return [numSeriesTypes]string{"counter", "gauge", "histogram"}[t]
}

// Series describes one time series: what /metrics says and docs/metrics.md lists.
type Series struct {
	Name   string
	Type   SeriesType
	Labels []string // enums, never a device
	Help   string
}

// SeriesTable is every series of a node, the only place where one is named. A
// source emits samples for these and no others.
func SeriesTable() []Series {
	return []Series{
		{"edgeloop_build_info", TypeGauge, []string{"version", "go"}, "Always 1; the labels say what is running."},

		{"edgeloop_eventloop_loops", TypeGauge, nil, "Event loops."},
		{"edgeloop_eventloop_connections", TypeGauge, nil, "Open connections, handshakes included."},
		{"edgeloop_eventloop_handshakes_pending", TypeGauge, nil, "Connections that have not finished their handshake."},
		{"edgeloop_eventloop_connections_accepted_total", TypeCounter, nil, "Sockets accepted."},
		{"edgeloop_eventloop_handshakes_total", TypeCounter, nil, "Handshakes that ended with status 101."},
		{"edgeloop_eventloop_connections_refused_total", TypeCounter, []string{"reason"}, "Handshakes that ended otherwise, by reason."},
		{"edgeloop_eventloop_received_bytes_total", TypeCounter, nil, "Bytes read from devices."},
		{"edgeloop_eventloop_sent_bytes_total", TypeCounter, nil, "Bytes written to devices."},
		{"edgeloop_eventloop_received_messages_total", TypeCounter, nil, "Whole text and binary messages read."},
		{"edgeloop_eventloop_sent_frames_total", TypeCounter, nil, "Frames written, control frames included."},
		{"edgeloop_eventloop_pings_total", TypeCounter, nil, "Pings sent to quiet devices."},
		{"edgeloop_eventloop_closes_total", TypeCounter, []string{"class"}, "Connections that ended, by class of close code."},
		{"edgeloop_eventloop_reads_paused", TypeGauge, nil, "Connections whose reading is paused."},
		{"edgeloop_eventloop_read_pauses_total", TypeCounter, nil, "Times that reading from a connection was paused."},
		{"edgeloop_eventloop_slow_consumers_total", TypeCounter, nil, "Connections closed because they did not read what was sent."},
		{"edgeloop_eventloop_in_buffered_bytes", TypeGauge, nil, "Bytes of unfinished messages kept for connections."},
		{"edgeloop_eventloop_out_buffered_bytes", TypeGauge, nil, "Bytes that wait for devices to read them."},
		{"edgeloop_eventloop_wakeups_total", TypeCounter, nil, "Times that a loop was woken by another goroutine."},
		{"edgeloop_eventloop_gate_closed", TypeGauge, nil, "1 while no connections are accepted, to save descriptors."},
		{"edgeloop_eventloop_gate_closings_total", TypeCounter, nil, "Times that the accept gate closed."},
		{"edgeloop_eventloop_panics_total", TypeCounter, nil, "Panics caught on a loop; each cost one connection."},

		{"edgeloop_pool_workers", TypeGauge, nil, "Workers that may run at a time."},
		{"edgeloop_pool_busy_workers", TypeGauge, nil, "Workers that handle messages now."},
		{"edgeloop_pool_lanes", TypeGauge, nil, "Lanes."},
		{"edgeloop_pool_lane_depth_messages", TypeGauge, nil, "Messages that one lane can hold."},
		{"edgeloop_pool_queued_messages", TypeGauge, nil, "Messages that wait in all lanes."},
		{"edgeloop_pool_fullest_lane_messages", TypeGauge, nil, "Messages that wait in the fullest lane."},
		{"edgeloop_pool_waiting_connections", TypeGauge, nil, "Connections that wait for room in their lane."},
		{"edgeloop_pool_posted_messages_total", TypeCounter, nil, "Messages posted to lanes."},
		{"edgeloop_pool_handled_messages_total", TypeCounter, nil, "Messages that workers have handled."},
		{"edgeloop_pool_full_total", TypeCounter, nil, "Posts that found their lane full."},
		{"edgeloop_pool_panics_total", TypeCounter, nil, "Panics caught in a worker; each cost one message."},

		{"edgeloop_devicemgr_online_devices", TypeGauge, nil, "Devices that are connected."},
		{"edgeloop_devicemgr_remembered_devices", TypeGauge, nil, "Devices that have left and are remembered."},
		{"edgeloop_devicemgr_registrations_total", TypeCounter, nil, "Devices that came, each time they did."},
		{"edgeloop_devicemgr_takeovers_total", TypeCounter, nil, "Connections replaced by a newer one of the same device."},
		{"edgeloop_devicemgr_evictions_total", TypeCounter, nil, "Devices evicted because they were silent."},
		{"edgeloop_devicemgr_forgotten_total", TypeCounter, nil, "Remembered devices that made room for others."},

		{"edgeloop_auth_verifications_total", TypeCounter, []string{"result"}, "Tokens checked, by result."},
		{"edgeloop_auth_cached_tokens", TypeGauge, nil, "Verified tokens that are remembered."},

		{"edgeloop_gateway_received_messages_total", TypeCounter, []string{"type"}, "Envelopes received, by type."},
		{"edgeloop_gateway_acknowledged_messages_total", TypeCounter, nil, "Sequenced messages acknowledged."},
		{"edgeloop_gateway_duplicate_messages_total", TypeCounter, nil, "Messages dropped because their sequence was known."},
		{"edgeloop_gateway_gap_messages_total", TypeCounter, nil, "Messages whose sequence left a gap."},
		{"edgeloop_gateway_bad_envelopes_total", TypeCounter, []string{"code"}, "Envelopes refused, by the code sent to the device."},
		{"edgeloop_gateway_dropped_messages_total", TypeCounter, []string{"reason"}, "Messages dropped, by reason."},
		{"edgeloop_gateway_ack_seconds", TypeHistogram, nil, "Time from a message's arrival to its acknowledgement."},
		{"edgeloop_gateway_commands_total", TypeCounter, []string{"outcome"}, "Commands, by what became of them."},
		{"edgeloop_gateway_replies_total", TypeCounter, nil, "Replies of devices to commands."},
		{"edgeloop_gateway_broadcasts_total", TypeCounter, nil, "Broadcasts."},
		{"edgeloop_gateway_broadcast_deliveries_total", TypeCounter, nil, "Connections that broadcasts were handed to."},
		{"edgeloop_gateway_draining", TypeGauge, nil, "1 while the node drains."},

		{"edgeloop_backbone_appended_records_total", TypeCounter, nil, "Records in the log and, where asked for, synced."},
		{"edgeloop_backbone_appended_bytes_total", TypeCounter, nil, "Bytes of these records."},
		{"edgeloop_backbone_batches_total", TypeCounter, nil, "Batches committed."},
		{"edgeloop_backbone_commit_seconds", TypeHistogram, nil, "Time from sending a batch to its commit, the sync included."},
		{"edgeloop_backbone_retries_total", TypeCounter, nil, "Batches sent again after a failure or an unclear answer."},
		{"edgeloop_backbone_stalled", TypeGauge, nil, "1 while the log takes nothing."},
		{"edgeloop_backbone_pending_records", TypeGauge, nil, "Records that wait for the log."},
		{"edgeloop_backbone_pending_bytes", TypeGauge, nil, "Bytes of these records."},
		{"edgeloop_backbone_stored_commands", TypeGauge, nil, "Commands left for offline devices."},
		{"edgeloop_backbone_presence_dropped_total", TypeCounter, nil, "Presence events that found their queue full."},
		{"edgeloop_backbone_bans", TypeGauge, nil, "Bans in force."},

		{"edgeloop_admin_requests_total", TypeCounter, []string{"class"}, "Requests to the admin API, by class of status."},
		{"edgeloop_admin_tails", TypeGauge, nil, "Live tails that are running."},
		{"edgeloop_admin_tails_dropped_total", TypeCounter, nil, "Live tails whose reader was too slow."},
	}
}
