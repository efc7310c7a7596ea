package main

import (
	"edgeloop/admin"
	"edgeloop/backbone"
	"edgeloop/eventloop"
	"edgeloop/gateway"
	"edgeloop/internal/latency"
)

// metricSources read the parts' counters when somebody asks for /metrics.
func (n *node) metricSources() []admin.Source {
	return []admin.Source{n.eventloopMetrics, n.gatewayMetrics, n.authMetrics, n.backboneMetrics, n.logMetrics, n.sinkMetrics, n.healthMetrics, n.grpcMetrics, n.mqttAppsMetrics, n.intakeMetrics, n.presenceMetrics, n.quotaMetrics, n.loadMetrics}
}

// emitter emits samples of one kind: a number and label values.
type emitter func(name string, value float64, labels ...string)

func emitTo(emit func(admin.Sample)) emitter {
	return func(name string, value float64, labels ...string) {
		emit(admin.Sample{Name: name, Labels: labels, Value: value})
	}
}

func (n *node) eventloopMetrics(to func(admin.Sample)) {
	emit, st := emitTo(to), n.server.Stats()
	n.tlsMetrics(to)
	n.tokenMetrics(emit)
	n.doormanMetrics(to)
	emit("edgeloop_eventloop_connections", float64(st.Open))
	emit("edgeloop_eventloop_handshakes_pending", float64(st.Handshakes))
	emit("edgeloop_eventloop_connections_accepted_total", float64(st.Accepted))
	emit("edgeloop_eventloop_handshakes_total", float64(st.Admitted))
	emit("edgeloop_eventloop_connections_refused_total", float64(st.Refused))
	emit("edgeloop_eventloop_received_bytes_total", float64(st.BytesIn))
	emit("edgeloop_eventloop_sent_bytes_total", float64(st.BytesOut))
	emit("edgeloop_eventloop_received_messages_total", float64(st.MessagesIn))
	emit("edgeloop_eventloop_writes_total", float64(st.Writes))
	emit("edgeloop_eventloop_reads_paused", float64(st.Paused))
	emit("edgeloop_eventloop_gate_closed", boolean(st.GateShut))
	emit("edgeloop_eventloop_gate_closings_total", float64(st.GateCloses))
	emit("edgeloop_eventloop_accept_failures_total", float64(st.AcceptFailures))
	emit("edgeloop_eventloop_panics_total", float64(st.Panics))
	for cause := 1; cause < eventloop.NumCauses; cause++ {
		emit("edgeloop_eventloop_closes_total", float64(st.Gone[cause]), eventloop.Cause(cause).String())
	}
}

func (n *node) gatewayMetrics(to func(admin.Sample)) {
	emit, st := emitTo(to), n.gateway.Stats()
	emit("edgeloop_pool_workers", float64(st.Pool.Workers))
	emit("edgeloop_pool_busy_workers", float64(st.Pool.Running-st.Pool.Idle))
	emit("edgeloop_pool_lanes", float64(st.Lanes.Lanes))
	emit("edgeloop_pool_queued_reads", float64(st.Lanes.Queued))
	emit("edgeloop_pool_waiting_connections", float64(st.Lanes.Waiting))
	emit("edgeloop_pool_posted_reads_total", float64(st.Lanes.Posted))
	emit("edgeloop_pool_refused_reads_total", float64(st.Lanes.Refused))
	emit("edgeloop_pool_panics_total", float64(st.Pool.Panics))
	emit("edgeloop_pool_queued_handshakes", float64(st.Auth.Queued))
	emit("edgeloop_devicemgr_online_devices", float64(st.Online))
	emit("edgeloop_devicemgr_remembered_devices", float64(st.Remembered))
	emit("edgeloop_devicemgr_takeovers_total", float64(st.Takeovers))
	emit("edgeloop_devicemgr_evictions_total", float64(st.Evicted))
	emit("edgeloop_gateway_revoked_connections_total", float64(st.Revoked))
	emit("edgeloop_gateway_appended_messages_total", float64(st.Received))
	emit("edgeloop_gateway_acks_total", float64(st.Acks))
	to(admin.Sample{Name: "edgeloop_gateway_ack_seconds", Histogram: histogramOf(st.AckLatency)})
	to(admin.Sample{Name: "edgeloop_gateway_handshake_seconds", Histogram: histogramOf(st.HandshakeLatency)})
	to(admin.Sample{Name: "edgeloop_gateway_reply_seconds", Histogram: histogramOf(st.ReplyLatency)})
	emit("edgeloop_gateway_gap_messages_total", float64(st.Gaps))
	emit("edgeloop_gateway_wills_waiting", float64(st.WillsWaiting))
	emit("edgeloop_gateway_wills_unsaved", float64(st.WillsUnsaved))
	emit("edgeloop_gateway_inflight_bytes", float64(st.InFlightBytes))
	emit("edgeloop_gateway_commands_total", float64(st.CommandsSent), "sent")
	emit("edgeloop_gateway_commands_total", float64(st.CommandsLeft), "left")
	emit("edgeloop_gateway_commands_total", float64(st.CommandsTaken), "taken")
	emit("edgeloop_gateway_replies_total", float64(st.RepliesMet), "awaited")
	emit("edgeloop_gateway_replies_total", float64(st.RepliesLate), "late")
	emit("edgeloop_gateway_broadcasts_total", float64(st.Broadcasts))
	emit("edgeloop_gateway_draining", boolean(st.Draining))
	for d := range gateway.NumDrops {
		emit("edgeloop_gateway_drops_total", float64(st.Drops[d]), gateway.Drop(d).String()) //nolint:gosec // small
	}
	n.eventMetrics(emit, &st)
}

func (n *node) eventMetrics(emit emitter, st *gateway.Stats) {
	for t := range gateway.NumEvents {
		emit("edgeloop_gateway_events_total", float64(st.Events[t]), gateway.EventType(t).String()) //nolint:gosec // small
	}
	for d := range gateway.NumEventDrops {
		emit("edgeloop_gateway_events_dropped_total", float64(st.EventDrops[d]), gateway.EventDrop(d).String()) //nolint:gosec // small
	}
}

func (n *node) backboneMetrics(to func(admin.Sample)) {
	emit, st := emitTo(to), n.backbone.Stats()
	emit("edgeloop_backbone_appended_records_total", float64(st.Records))
	emit("edgeloop_backbone_appended_bytes_total", float64(st.Bytes))
	emit("edgeloop_backbone_batches_total", float64(st.Batches))
	to(admin.Sample{Name: "edgeloop_backbone_commit_seconds", Histogram: histogramOf(st.Commits)})
	emit("edgeloop_backbone_failed_batches_total", float64(st.Failed))
	emit("edgeloop_backbone_settled_batches_total", float64(st.Settled))
	emit("edgeloop_backbone_reopened_total", float64(st.Reopened))
	emit("edgeloop_backbone_reader_missed_records_total", float64(st.ReaderMissed))
	emit("edgeloop_backbone_reader_held_seconds_total", n.pacer.Held().Seconds())
	emit("edgeloop_backbone_stalls_total", float64(st.Stalls))
	emit("edgeloop_backbone_stalled", boolean(!n.backbone.State().OK()))
	known := n.backbone.LogInfo()
	for s := range backbone.NumSyncs {
		s := backbone.Sync(s) //nolint:gosec // small
		emit("edgeloop_backbone_log_sync", boolean(s == known.Sync), s.String())
	}
	emit("edgeloop_backbone_log_differences", float64(len(known.Differences)))
	emit("edgeloop_backbone_pending_records", float64(st.PendingRecords))
	emit("edgeloop_backbone_pending_bytes", float64(st.PendingBytes))
	emit("edgeloop_backbone_devices_with_commands", float64(st.CommandDevices))
	emit("edgeloop_backbone_presence_queued_devices", float64(st.PresenceQueued))
	emit("edgeloop_backbone_presence_dropped_total", float64(st.PresenceDropped))
	emit("edgeloop_backbone_bans", float64(st.Bans))
	emit("edgeloop_backbone_revocations", float64(st.Revocations))
	n.usageMetrics(emit)
	n.custodyMetrics(emit)
}

// usageMetrics leave out what is not known.
func (n *node) usageMetrics(emit emitter) {
	u, ok := n.backbone.Usage()
	if !ok {
		return
	}
	emit("edgeloop_backbone_log_records", float64(u.Records))
	emit("edgeloop_backbone_log_bytes", float64(u.Bytes))
	if !u.Oldest.IsZero() {
		emit("edgeloop_backbone_log_oldest_timestamp_seconds", float64(u.Oldest.Unix()))
	}
	if u.Free >= 0 {
		emit("edgeloop_backbone_disk_free_bytes", float64(u.Free))
	}
	if u.Room >= 0 {
		emit("edgeloop_backbone_log_room_bytes", float64(u.Room))
	}
	if u.FullIn > 0 {
		emit("edgeloop_backbone_log_full_in_seconds", u.FullIn.Seconds())
	}
	emit("edgeloop_backbone_log_filling", boolean(u.Filling()))
}

func (n *node) logMetrics(to func(admin.Sample)) {
	emit := emitTo(to)
	for why := range numLogLosses {
		emit("edgeloop_log_lost_lines_total", float64(n.log.out.Lost(why)), why.String())
	}
}

func (n *node) custodyMetrics(emit emitter) {
	st := n.backbone.Custody()
	emit("edgeloop_backbone_log_damaged", boolean(st.Damaged))
	emit("edgeloop_backbone_missing_records", float64(st.Undecided))
	for k := range backbone.NumDamages {
		emit("edgeloop_backbone_damages_total", float64(st.Found[k]), k.String())
	}
	emit("edgeloop_backbone_checked_bytes_total", float64(st.Read))
	emit("edgeloop_backbone_checks_total", float64(st.Passes))
	emit("edgeloop_backbone_check_seconds", st.PassTook.Seconds())
	last := 0.0
	if !st.LastPass.IsZero() {
		last = float64(st.LastPass.Unix())
	}
	emit("edgeloop_backbone_last_check_timestamp_seconds", last)
}

// authMetrics are of the tokens of public keys, which are remembered.
func (n *node) authMetrics(to func(admin.Sample)) {
	if n.verifier == nil {
		return
	}
	emit, st := emitTo(to), n.verifier.Stats()
	emit("edgeloop_auth_token_cache_hits_total", float64(st.CacheHits))
	emit("edgeloop_auth_checked_tokens_total", float64(st.Checked))
	emit("edgeloop_auth_refused_tokens_total", float64(st.Refused))
	emit("edgeloop_auth_cached_tokens", float64(st.Cached))
	n.keyMetrics(to)
}

// histogramOf gives latencies in seconds.
func histogramOf(l latency.Counts) *admin.Histogram {
	h := &admin.Histogram{Counts: l.Counts[:], Sum: l.Sum.Seconds()}
	for _, bound := range latency.Bounds() {
		h.Bounds = append(h.Bounds, bound.Seconds())
	}
	return h
}

func boolean(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
