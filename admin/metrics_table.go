package admin

import "slices"

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
	return slices.Concat(
		buildSeries(), eventloopSeries(), doormanSeries(), tlsSeries(), authSeries(), poolSeries(), devicemgrSeries(), gatewaySeries(), backboneSeries(), adminSeries(), logSeries(), sinkSeries(), grpcSeries(), mqttapiSeries(), intakeSeries(), presenceSeries(), quotaSeries(), overloadSeries(),
	)
}

func buildSeries() []Series {
	return []Series{
		{"edgeloop_build_info", TypeGauge, []string{"version", "go"}, "Always 1; the labels say what is running."},
	}
}

func doormanSeries() []Series {
	return []Series{
		{"edgeloop_doorman_banned_addresses", TypeGauge, nil, "Addresses that are kept out now, because they failed too often to prove who they are."},
		{"edgeloop_doorman_watched_addresses", TypeGauge, nil, "Addresses that have failed lately."},
		{"edgeloop_doorman_bans_total", TypeCounter, nil, "Times that an address began to be kept out."},
		{"edgeloop_doorman_forgotten_addresses_total", TypeCounter, nil, "Addresses whose failures were forgotten for want of room."},
		{"edgeloop_doorman_prefixes", TypeGauge, []string{"list"}, "Prefixes in the lists of networks that may and that may not connect."},
		{"edgeloop_doorman_reloads_total", TypeCounter, []string{"outcome"}, "Times that the lists of networks were read again; failed is when those before stayed in force."},
	}
}

func eventloopSeries() []Series {
	return []Series{
		{"edgeloop_eventloop_connections", TypeGauge, nil, "Open connections, handshakes included."},
		{"edgeloop_eventloop_handshakes_pending", TypeGauge, nil, "Connections whose handshake is not decided."},
		{"edgeloop_eventloop_connections_accepted_total", TypeCounter, nil, "Sockets accepted."},
		{"edgeloop_eventloop_handshakes_total", TypeCounter, nil, "Handshakes answered with 101."},
		{"edgeloop_eventloop_connections_refused_total", TypeCounter, nil, "Handshakes answered with an HTTP error."},
		{"edgeloop_eventloop_received_bytes_total", TypeCounter, nil, "Bytes read from sockets."},
		{"edgeloop_eventloop_sent_bytes_total", TypeCounter, nil, "Bytes written to sockets."},
		{"edgeloop_eventloop_received_messages_total", TypeCounter, nil, "Whole messages read, fragments assembled."},
		{"edgeloop_eventloop_writes_total", TypeCounter, nil, "Write calls; sent bytes over these is what one call carries."},
		{"edgeloop_eventloop_reads_paused", TypeGauge, nil, "Connections that are not being read from, because their messages wait for room."},
		{"edgeloop_eventloop_closes_total", TypeCounter, []string{"cause"}, "Connections that ended, by cause."},
		{"edgeloop_eventloop_gate_closed", TypeGauge, nil, "1 while no connections are accepted, to save descriptors."},
		{"edgeloop_eventloop_gate_closings_total", TypeCounter, nil, "Times that the accept gate closed."},
		{"edgeloop_eventloop_accept_failures_total", TypeCounter, nil, "Accepts that the kernel refused."},
		{"edgeloop_eventloop_panics_total", TypeCounter, nil, "Panics contained on a loop; each cost one connection."},
	}
}

func tlsSeries() []Series {
	return []Series{
		{"edgeloop_tls_handshakes_total", TypeCounter, []string{"outcome"}, "TLS handshakes, by how they ended; full and resumed are those that succeeded."},
		{"edgeloop_tls_handshake_seconds", TypeHistogram, nil, "From the first byte of a TLS handshake that succeeded to its end, the peer's answers included."},
		{"edgeloop_tls_reloads_total", TypeCounter, []string{"outcome"}, "Times that certificates, authorities, lists and ticket keys were read again; failed is when those before stayed in force."},
		{"edgeloop_tls_queued_records", TypeGauge, nil, "Records of TLS handshakes that wait for a worker."},
		{"edgeloop_tls_certificate_expiry_timestamp_seconds", TypeGauge, []string{"file"}, "When each certificate of --tls-cert, --admin-tls-cert and --grpc-cert expires, in Unix time, by its file."},
	}
}

func authSeries() []Series {
	return []Series{
		{"edgeloop_auth_token_cache_hits_total", TypeCounter, nil, "Tokens of public keys that were found in the cache: no signature was checked."},
		{"edgeloop_auth_checked_tokens_total", TypeCounter, nil, "Tokens whose signature was checked: those of secrets, and what the cache did not have."},
		{"edgeloop_auth_refused_tokens_total", TypeCounter, nil, "Tokens that were refused."},
		{"edgeloop_auth_cached_tokens", TypeGauge, nil, "Tokens of public keys in the cache; at most --token-cache."},
		{"edgeloop_auth_jwks_fetches_total", TypeCounter, []string{"outcome"}, "Fetches of the keys of --jwks-url: with other keys (changed), with the same, failed, or with what is no set of keys (unusable)."},
		{"edgeloop_auth_jwks_keys", TypeGauge, nil, "Keys of --jwks-url in force."},
		{"edgeloop_auth_jwks_age_seconds", TypeGauge, nil, "How long ago the keys of --jwks-url that are in force were last fetched; missing while there are none."},
	}
}

func poolSeries() []Series {
	return []Series{
		{"edgeloop_pool_workers", TypeGauge, nil, "Workers asked for."},
		{"edgeloop_pool_busy_workers", TypeGauge, nil, "Workers at work."},
		{"edgeloop_pool_lanes", TypeGauge, nil, "Lanes between loops and workers."},
		{"edgeloop_pool_queued_reads", TypeGauge, nil, "Reads that wait in all lanes; a read holds the messages of one socket read."},
		{"edgeloop_pool_waiting_connections", TypeGauge, nil, "Connections that wait for room in their lane."},
		{"edgeloop_pool_posted_reads_total", TypeCounter, nil, "Reads posted to lanes."},
		{"edgeloop_pool_refused_reads_total", TypeCounter, nil, "Reads that found their lane full and were held back."},
		{"edgeloop_pool_panics_total", TypeCounter, nil, "Panics contained in a worker."},
		{"edgeloop_pool_queued_handshakes", TypeGauge, nil, "Handshakes that wait for their token to be checked."},
	}
}

func devicemgrSeries() []Series {
	return []Series{
		{"edgeloop_devicemgr_online_devices", TypeGauge, nil, "Devices that are connected."},
		{"edgeloop_devicemgr_remembered_devices", TypeGauge, nil, "Devices that have left and are remembered."},
		{"edgeloop_devicemgr_takeovers_total", TypeCounter, nil, "Connections replaced by a newer one of the same device."},
		{"edgeloop_devicemgr_evictions_total", TypeCounter, nil, "Devices evicted because they were silent."},
	}
}

func gatewaySeries() []Series {
	return []Series{
		{"edgeloop_gateway_appended_messages_total", TypeCounter, nil, "Messages handed to the log."},
		{"edgeloop_gateway_acks_total", TypeCounter, nil, "Acknowledgements sent; each may cover many messages."},
		{"edgeloop_gateway_ack_seconds", TypeHistogram, nil, "From when a read was handed on by its loop until the log had all of its messages and the device could be told; one for each piece of a read, of 16 messages or 16 KiB at the most."},
		{"edgeloop_gateway_handshake_seconds", TypeHistogram, nil, "From a whole request, or CONNECT, to its acceptance: the token, the ban, what the log knows of the device."},
		{"edgeloop_gateway_reply_seconds", TypeHistogram, nil, "From a command to the reply of its device, of those that were waited for in time."},
		{"edgeloop_gateway_gap_messages_total", TypeCounter, nil, "Messages whose sequence left a gap."},
		{"edgeloop_gateway_revoked_connections_total", TypeCounter, nil, "Connections closed because their token was revoked."},
		{"edgeloop_gateway_drops_total", TypeCounter, []string{"reason"}, "What was refused, dropped or held back, by reason."},
		{"edgeloop_gateway_events_total", TypeCounter, []string{"type"}, "Events of devices (--events) that are durable as records, by type."},
		{"edgeloop_gateway_events_dropped_total", TypeCounter, []string{"reason"}, "Events of devices that made no record, by reason."},
		{"edgeloop_gateway_wills_waiting", TypeGauge, nil, "Wills of MQTT clients that have gone and wait for their delay."},
		{"edgeloop_gateway_wills_unsaved", TypeGauge, nil, "Devices of whose Will the store has yet to be told; a restart would not know what changed."},
		{"edgeloop_gateway_inflight_bytes", TypeGauge, nil, "Memory held for messages from the socket until they are durable, by the capacity of its buffers."},
		{"edgeloop_gateway_commands_total", TypeCounter, []string{"outcome"}, "Commands, by what became of them; taken are those left earlier and delivered now."},
		{"edgeloop_gateway_replies_total", TypeCounter, []string{"outcome"}, "Replies of devices: awaited, or late when nobody waited any more."},
		{"edgeloop_gateway_broadcasts_total", TypeCounter, nil, "Broadcasts."},
		{"edgeloop_gateway_draining", TypeGauge, nil, "1 while the node drains."},
	}
}

func backboneSeries() []Series {
	return []Series{
		{"edgeloop_backbone_appended_records_total", TypeCounter, nil, "Records that are durable."},
		{"edgeloop_backbone_appended_bytes_total", TypeCounter, nil, "Bytes of these records, with their subjects."},
		{"edgeloop_backbone_batches_total", TypeCounter, nil, "Batches committed; records over these is what one sync pays for."},
		{"edgeloop_backbone_commit_seconds", TypeHistogram, nil, "From the first attempt at a batch until all of it was durable, stalls included; one for each batch."},
		{"edgeloop_backbone_failed_batches_total", TypeCounter, nil, "Attempts that did not take; the batch is tried again."},
		{"edgeloop_backbone_settled_batches_total", TypeCounter, nil, "Attempts whose end had to be looked up in the log."},
		{"edgeloop_backbone_reopened_total", TypeCounter, nil, "Times that the embedded store was opened again."},
		{"edgeloop_backbone_reader_missed_records_total", TypeCounter, nil, "Records that retention took before a named reader of the log had read them."},
		{"edgeloop_backbone_reader_held_seconds_total", TypeCounter, nil, "Time that readers far behind the end of the log, as sinks that catch up, waited so that devices are served, all of them together."},
		{"edgeloop_backbone_stalls_total", TypeCounter, nil, "Times that the log stopped taking records."},
		{"edgeloop_backbone_stalled", TypeGauge, nil, "1 while the log takes no records."},
		{"edgeloop_backbone_log_sync", TypeGauge, []string{"state"}, "1 for what is known of whether the log syncs before it confirms."},
		{"edgeloop_backbone_log_differences", TypeGauge, nil, "Settings of a shared log that are not what this node's flags say."},
		{"edgeloop_backbone_pending_records", TypeGauge, nil, "Records that are not durable yet."},
		{"edgeloop_backbone_pending_bytes", TypeGauge, nil, "Bytes of these records."},
		{"edgeloop_backbone_devices_with_commands", TypeGauge, nil, "Devices that may have commands waiting."},
		{"edgeloop_backbone_presence_queued_devices", TypeGauge, nil, "Devices whose latest presence is not published yet."},
		{"edgeloop_backbone_presence_dropped_total", TypeCounter, nil, "Presence given up because its queue was full."},
		{"edgeloop_backbone_bans", TypeGauge, nil, "Bans in force."},
		{"edgeloop_backbone_revocations", TypeGauge, nil, "Revocations of tokens in force; at most 10,000."},
		{"edgeloop_backbone_log_records", TypeGauge, nil, "Records in the log."},
		{"edgeloop_backbone_log_bytes", TypeGauge, nil, "Bytes of the log."},
		{"edgeloop_backbone_log_oldest_timestamp_seconds", TypeGauge, nil, "When the oldest record was stored, in Unix time; absent for an empty log."},
		{"edgeloop_backbone_disk_free_bytes", TypeGauge, nil, "Bytes free on the disk of the log; absent with an external server."},
		{"edgeloop_backbone_log_room_bytes", TypeGauge, nil, "Bytes until a bound is reached, of the log or of its disk; absent where none is known."},
		{"edgeloop_backbone_log_full_in_seconds", TypeGauge, nil, "How long that room lasts at the rate of the last hour; absent where records leave by their age before, or it is not known."},
		{"edgeloop_backbone_log_filling", TypeGauge, nil, "1 while the log takes no more within a day at that rate, or with a twentieth of its room left, unless somebody does something."},
		{"edgeloop_backbone_log_damaged", TypeGauge, nil, "1 while the log is damaged and nobody has decided what to do."},
		{"edgeloop_backbone_missing_records", TypeGauge, nil, "Acknowledged records that are missing in such damage, as far as known."},
		{"edgeloop_backbone_damages_total", TypeCounter, []string{"kind"}, "Damage found in the log since the start: what was acknowledged and is not as it was."},
		{"edgeloop_backbone_checked_bytes_total", TypeCounter, nil, "Bytes of the log read in the background to check them."},
		{"edgeloop_backbone_checks_total", TypeCounter, nil, "Times that all of the log has been read for that."},
		{"edgeloop_backbone_check_seconds", TypeGauge, nil, "How long the last of them took."},
		{"edgeloop_backbone_last_check_timestamp_seconds", TypeGauge, nil, "When the last of them ended, in Unix time; 0 before the first."},
	}
}

func adminSeries() []Series {
	return []Series{
		{"edgeloop_admin_requests_total", TypeCounter, []string{"class"}, "Requests to the admin API, by class of status."},
		{"edgeloop_admin_token_reloads_total", TypeCounter, []string{"outcome"}, "Times that the admin tokens were read again; failed is when those before stayed in force."},
		{"edgeloop_admin_tails", TypeGauge, nil, "Live tails that are running."},
		{"edgeloop_admin_tails_dropped_total", TypeCounter, nil, "Live tails whose reader was too slow."},
		{"edgeloop_admin_evicted_connections_total", TypeCounter, nil, "Quiet connections that were closed to let a newer one in."},
		{"edgeloop_admin_health_requests_total", TypeCounter, []string{"class"}, "Requests at --health-listen, by class of status."},
		{"edgeloop_admin_health_evicted_connections_total", TypeCounter, nil, "Quiet connections there that were closed to let a newer one in."},
	}
}

func logSeries() []Series {
	return []Series{
		{"edgeloop_log_lost_lines_total", TypeCounter, []string{"cause"}, "Lines of the node's own log that nobody got: full, its reader was too slow; failed, it was away."},
	}
}

// grpcSeries are there with --grpc-listen alone.
func grpcSeries() []Series {
	return []Series{
		{"edgeloop_grpc_connections", TypeGauge, nil, "Open connections to the gRPC services."},
		{"edgeloop_grpc_streams", TypeGauge, nil, "Calls of Log.Read and Presence.Watch that are being served."},
		{"edgeloop_grpc_calls_total", TypeCounter, []string{"outcome"}, "Calls that have ended: ok, failed by the node, or refused for what they asked."},
		{"edgeloop_grpc_refused_total", TypeCounter, []string{"reason"}, "Calls and connections that were not served, by reason."},
		{"edgeloop_grpc_sent_records_total", TypeCounter, nil, "Records given to the readers of Log.Read, again or for the first time."},
		{"edgeloop_grpc_readers_taken_total", TypeCounter, nil, "Calls of Log.Read that ended because their reader was opened again or moved."},
		{"edgeloop_grpc_watchers_behind_total", TypeCounter, nil, "Calls of Presence.Watch that ended because their clients did not keep up."},
		{"edgeloop_grpc_reader_lag_records", TypeGauge, []string{"reader"}, "About how many records lie behind the place of a reader that is being read at this node, NAME or TENANT/NAME, of a log that this node alone writes."},
		{"edgeloop_grpc_panics_total", TypeCounter, nil, "Panics contained in a call; each cost one call."},
	}
}

// mqttapiSeries are there but with --mqtt-apps=off.
func mqttapiSeries() []Series {
	return []Series{
		{"edgeloop_mqttapi_connections", TypeGauge, nil, "Connections of applications that subscribe by MQTT."},
		{"edgeloop_mqttapi_groups", TypeGauge, nil, "Groups of shared subscriptions that have members here."},
		{"edgeloop_mqttapi_groups_held_back", TypeGauge, nil, "Groups of shared subscriptions that give nothing new: a member holds a message that lies 500,000 positions behind."},
		{"edgeloop_mqttapi_held_too_long_total", TypeCounter, nil, "Applications whose connection was ended because a group waited for such a message, and they had held it for a minute."},
		{"edgeloop_mqttapi_refused_total", TypeCounter, []string{"reason"}, "Applications that showed an admin token and were not let in, by reason."},
		{"edgeloop_mqttapi_sent_messages_total", TypeCounter, nil, "Messages given to them, again or for the first time."},
		{"edgeloop_mqttapi_too_large_total", TypeCounter, nil, "Messages that were above a client's Maximum Packet Size, and not sent."},
		{"edgeloop_mqttapi_retained_messages", TypeGauge, nil, "Messages that are retained for applications."},
		{"edgeloop_mqttapi_retained_bytes", TypeGauge, nil, "What they take of memory, bytes, with room that is kept for those on their way."},
		{"edgeloop_mqttapi_panics_total", TypeCounter, nil, "Panics contained in a connection of an application; each cost one connection."},
	}
}

// intakeSeries have the name of a source as a label, as sinkSeries have a sink's.
func intakeSeries() []Series {
	return []Series{
		{"edgeloop_intake_connected", TypeGauge, []string{"source"}, "1 while the source of commands is connected."},
		{"edgeloop_intake_stored_commands_total", TypeCounter, []string{"source"}, "Commands from elsewhere that the node has stored."},
		{"edgeloop_intake_refused_commands_total", TypeCounter, []string{"source"}, "Messages that are no command, and commands that the node will never take."},
		{"edgeloop_intake_failures_total", TypeCounter, []string{"source"}, "Failed attempts to connect or to store, that are tried again."},
	}
}

// presenceSeries have the name of a board as a label.
func presenceSeries() []Series {
	return []Series{
		{"edgeloop_presence_connected", TypeGauge, []string{"board"}, "1 if the last attempt to write presence elsewhere was taken."},
		{"edgeloop_presence_written_states_total", TypeCounter, []string{"board"}, "States of devices written elsewhere, for the first time or again."},
		{"edgeloop_presence_refused_states_total", TypeCounter, []string{"board"}, "States of devices that the other side will never take."},
		{"edgeloop_presence_dropped_states_total", TypeCounter, []string{"board"}, "Devices that went while too many waited to be written: their keys end by themselves."},
		{"edgeloop_presence_failures_total", TypeCounter, []string{"board"}, "Failed attempts to write presence elsewhere, that are tried again."},
	}
}

// sinkSeries have the name of a sink as a label: there are as many as are configured.
func sinkSeries() []Series {
	return []Series{
		{"edgeloop_sink_state", TypeGauge, []string{"sink", "state"}, "1 for the state that the sink is in."},
		{"edgeloop_sink_breaker", TypeGauge, []string{"sink"}, "0 while the breaker is closed, 1 half open, 2 open."},
		{"edgeloop_sink_lag_records", TypeGauge, []string{"sink"}, "About how many records lie behind the sink's place; absent where it is not known."},
		{"edgeloop_sink_lag_bytes", TypeGauge, []string{"sink"}, "About how many bytes they have; absent where it is not known."},
		{"edgeloop_sink_paced_records_per_second", TypeGauge, []string{"sink"}, "How many records a second the sink may read while it catches up and devices are served; 0: it is held to no rate."},
		{"edgeloop_sink_oldest_unconfirmed_seconds", TypeGauge, []string{"sink"}, "Age of the oldest record that was read and is not confirmed; 0 if there is none."},
		{"edgeloop_sink_sent_records_total", TypeCounter, []string{"sink"}, "Records that the destination has confirmed."},
		{"edgeloop_sink_sent_bytes_total", TypeCounter, []string{"sink"}, "Their bytes, as stored in the log."},
		{"edgeloop_sink_attempts_total", TypeCounter, []string{"sink"}, "Attempts to send a batch."},
		{"edgeloop_sink_failures_total", TypeCounter, []string{"sink"}, "Failures of the moment, that are tried again."},
		{"edgeloop_sink_refused_records_total", TypeCounter, []string{"sink"}, "Records that the destination refused, with the dead letters."},
		{"edgeloop_sink_unkept_records_total", TypeCounter, []string{"sink"}, "Of those, left out, because their device had its share of the dead letters."},
		{"edgeloop_sink_filtered_records_total", TypeCounter, []string{"sink"}, "Records that the filter kept back."},
		{"edgeloop_sink_missed_records", TypeGauge, []string{"sink"}, "Records that retention took before the sink had them, in all its life."},
	}
}

// quotaSeries have the name of a tenant as a label: of one that has quotas of its own, or
// "*" for all others.
func quotaSeries() []Series {
	return []Series{
		{"edgeloop_quota_over_total", TypeCounter, []string{"tenant", "quota"}, "Times that a quota was found used up: connections or commands that were refused, joins of groups, messages that would be stored, pauses for the rate."},
		{"edgeloop_quota_connections", TypeGauge, []string{"tenant"}, "Connections of the tenant; of named tenants alone, as the following."},
		{"edgeloop_quota_waiting_connections", TypeGauge, []string{"tenant"}, "Of these, from which nothing is read until the tenant's rate allows it."},
		{"edgeloop_quota_stored_commands", TypeGauge, []string{"tenant"}, "Commands that wait for its devices, as far as this node knows."},
		{"edgeloop_quota_stored_bytes", TypeGauge, []string{"tenant"}, "Bytes of the log that its records take, as far as this node knows."},
	}
}

func overloadSeries() []Series {
	return []Series{
		{"edgeloop_overload_state", TypeGauge, []string{"state"}, "1 for the state of the node, 0 for the others; docs/overload.md says what each refuses."},
		{"edgeloop_overload_level", TypeGauge, []string{"cause"}, "The state that a cause by itself asks for: 0 well, 1 busy, 2 strained, 3 overloaded."},
		{"edgeloop_overload_changes_total", TypeCounter, []string{"state"}, "Times that the state was entered, from below or from above."},
		{"edgeloop_overload_refused_total", TypeCounter, []string{"load"}, "What was refused because of the state, by load."},
	}
}
