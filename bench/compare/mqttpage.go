package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// mqttColumns are what a broker and a node do alike: from a PUBLISH with QoS 1 to PUBACK, and to
// those who subscribed.
func (r report) mqttColumns() []column {
	paced := fmt.Sprintf(" at %s messages/s", thousands(float64(r.plan.rate)))
	return append([]column{
		{title: "CPU µs per message", heading: "CPU for one message of QoS 1, eight in flight", measure: "telemetry", unit: "µs", figure: "cpu_us_per_message", digits: 2, mqtt: true},
		{title: "CPU µs" + paced, heading: "CPU for one message of QoS 1" + paced, measure: "telemetry-paced", unit: "µs", figure: "cpu_us_per_message", digits: 2, mqtt: true},
		{title: "PUBACK p50 ms" + paced, heading: "PUBACK" + paced + ", 50th percentile", measure: "telemetry-paced", unit: "ms", figure: "ack_p50_ms", digits: 2, mqtt: true},
		{title: "p99 ms", heading: "PUBACK" + paced + ", 99th percentile", measure: "telemetry-paced", unit: "ms", figure: "ack_p99_ms", digits: 2, mqtt: true},
	}, spreadColumns()...)
}

// spreadColumns are of messages to those who subscribed.
func spreadColumns() (all []column) {
	for _, m := range []struct{ name, title string }{{"fanout", "fan-out"}, {"p2p", "point to point"}, {"sharesub", "shared"}} {
		all = append(all,
			column{title: m.title + " CPU µs per delivery", heading: "CPU for one delivery, " + m.title, measure: m.name, unit: "µs", figure: "cpu_us_per_delivery", digits: 2, mqtt: true},
			column{title: "p50 ms", heading: "From PUBLISH to delivery, " + m.title + ", 50th percentile", measure: m.name, unit: "ms", figure: "delivery_p50_ms", digits: 2, mqtt: true},
			column{title: "p99 ms", heading: "From PUBLISH to delivery, " + m.title + ", 99th percentile", measure: m.name, unit: "ms", figure: "delivery_p99_ms", digits: 2, mqtt: true})
	}
	return all
}

// mqttRates are how much there was of each in a second: of them more is better.
func mqttRates() []column {
	return []column{
		{title: "connects/s", measure: "connect", figure: "connects_per_s"},
		{title: "messages/s", measure: "telemetry", figure: "messages_per_s"},
		{title: "fan-out deliveries/s", measure: "fanout", figure: "deliveries_per_s"},
		{title: "point to point deliveries/s", measure: "p2p", figure: "deliveries_per_s"},
		{title: "shared deliveries/s", measure: "sharesub", figure: "deliveries_per_s"},
	}
}

// mqttPart sets brokers beside the node by MQTT, and that beside itself by WebSocket; the
// ratios are to the node by MQTT.
func (r report) mqttPart(b *strings.Builder, rows []server) {
	if len(rows) == 0 {
		return
	}
	b.WriteString("\n## MQTT\n\nBrokers and the node by MQTT 3.1.1 over TCP, and the node by WebSocket: a message of 128 B in all, PUBLISH with QoS 1 to PUBACK, " +
		"or JSON envelope to its acknowledgement. The node checks a token of each device. × is the ratio to the node by MQTT, then the rounds' range.\n\n")
	costs := append(slices.DeleteFunc(r.columns(), func(c column) bool { return c.measure != "idle" && c.measure != "connect" }), r.mqttColumns()...)
	r.mqttTable(b, rows, slices.DeleteFunc(slices.Clone(costs), isSpread), true)
	b.WriteString("\nTo subscribers, with QoS 1: 500 messages a second of 5 publishers to 16 who subscribe to all of them (fan-out, `singlenode-fanout`), " +
		"or of 16 to 16, each to one (`singlenode-p2p`), or of 50 to one of 16 who share a subscription (`singlenode-sharesub`). " +
		"A broker hands on what it has in memory; the node what is synced, read from the log by each of the 16, or once " +
		"for those who share, and what is not taken in time waits there.\n\n")
	r.mqttTable(b, rows, slices.DeleteFunc(costs, func(c column) bool { return !isSpread(c) }), true)
	b.WriteString("\nIn a second, of which more is better; connects are as fast as they go, messages have eight in flight at each device, deliveries keep their rate:\n\n")
	r.mqttTable(b, rows, mqttRates(), false)
}

func isSpread(c column) bool {
	return c.measure == "fanout" || c.measure == "p2p" || c.measure == "sharesub"
}

// mqttTable is one table of it.
func (r report) mqttTable(b *strings.Builder, rows []server, columns []column, ratios bool) {
	titles := []string{"server", "an acknowledged message is"}
	for _, c := range columns {
		titles = append(titles, c.title)
	}
	head(b, titles...)
	for _, s := range rows {
		cells := []string{s.what, s.promise}
		for _, c := range columns {
			v, ok := r.of(s.name, c.measure, c.figure)
			if !ok {
				cells = append(cells, "")
				continue
			}
			text := c.show(v.median)
			if ours, ok := r.of(nodeMQTT, c.measure, c.figure); ok && ratios && ours.median > 0 && s.name != nodeMQTT {
				text += fmt.Sprintf(" ×%.2f", v.median/ours.median)
			}
			if span := c.between(v); span != "" {
				text += " (" + span + ")"
			}
			cells = append(cells, text)
		}
		row(b, cells...)
	}
}

// goals says how the node by MQTT stands to itself by WebSocket.
func (r report) goals(b *strings.Builder) {
	said := false
	for _, g := range []struct{ what, measure, figure, unit string }{
		{"RSS of an idle device", "idle", "rss_bytes_per_connection", "B"},
		{"CPU for one message of QoS 1, from its PUBLISH to the PUBACK after the sync,", "telemetry", "cpu_us_per_message", "µs"},
		{"CPU for one connect", "connect", "cpu_us_per_connect", "µs"},
	} {
		byMQTT, ok1 := r.of(nodeMQTT, g.measure, g.figure)
		byWebSocket, ok2 := r.of(wholeOne, g.measure, g.figure)
		if !ok1 || !ok2 || byWebSocket.median <= 0 {
			continue
		}
		said = true
		verdict := "not above WebSocket"
		switch {
		case byMQTT.median <= byWebSocket.median:
		case byMQTT.rounds > 1 && !byMQTT.apart(byWebSocket):
			verdict = "as by WebSocket: the rounds lie further apart"
		default:
			verdict = "above WebSocket"
		}
		fmt.Fprintf(b, "- %s by MQTT: %.4g %s, by WebSocket %.4g (×%.2f): %s.\n", g.what, byMQTT.median, g.unit, byWebSocket.median,
			byMQTT.median/byWebSocket.median, verdict)
	}
	if said {
		b.WriteString("\n")
	}
}

// busy says of a machine that did other work that it did.
func (r report) busy(b *strings.Builder) {
	var m struct{ Cores int }
	_ = json.Unmarshal(r.machine(), &m) // without a machine nothing is said
	if m.Cores > 0 && r.Load > float64(m.Cores)/2 {
		fmt.Fprintf(b, "**The machine did other work meanwhile** (load average %.1f before the run, %d cores): memory and the ratios of CPU tell something, "+
			"latencies and figures a second are mostly the wait for a core.\n\n", r.Load, m.Cores)
	}
}

// brokers are the rows of the table of MQTT; none where no broker was measured.
func brokers(all []server) []server {
	rows := slices.DeleteFunc(slices.Clone(all), func(s server) bool { return !s.mqtt && s.name != wholeOne })
	if !slices.ContainsFunc(rows, func(s server) bool { return s.mqtt }) {
		return nil
	}
	return rows
}
