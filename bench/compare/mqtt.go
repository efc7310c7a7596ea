package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// mqttIdle measures what an idle MQTT connection costs a broker, over plain TCP:
// Debian's mosquitto has no websocket listener. The figure is that of the
// measure "idle": RSS, marginal, after it stands still.
func (p *process) mqttIdle(ctx context.Context, pl plan) record {
	r := record{Server: p.name, Measure: "idle", Figures: make(map[string]float64)}
	few := max(1, pl.connections/20)
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			_ = c.Close()
		}
	}()
	var rss [2]int64
	for i, n := range []int{few, pl.connections} {
		for len(conns) < n {
			c, err := mqttConnect(ctx, p.addr, len(conns))
			if err != nil {
				r.Error = err.Error()
				return r
			}
			conns = append(conns, c)
		}
		var err error
		if rss[i], err = settledRSS(ctx, p.cmd.Process.Pid); err != nil {
			r.Error = err.Error()
			return r
		}
	}
	r.Figures["rss_bytes_per_connection"] = float64(rss[1]-rss[0]) / float64(pl.connections-few)
	return r
}

// mqttConnect opens one MQTT 3.1.1 connection with a clean session and a keep
// alive of ten minutes.
func mqttConnect(ctx context.Context, addr string, n int) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	c, err := d.DialContext(ctx, "tcp4", addr)
	if err != nil {
		return nil, err
	}
	id := fmt.Sprintf("bench-%07d", n)
	packet := []byte{0x10, byte(12 + len(id)), 0, 4, 'M', 'Q', 'T', 'T', 4, 2}
	packet = binary.BigEndian.AppendUint16(packet, 600)
	packet = binary.BigEndian.AppendUint16(packet, uint16(len(id)))
	packet = append(packet, id...)
	var ack [4]byte
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	_, err = c.Write(packet)
	if err == nil {
		_, err = c.Read(ack[:])
	}
	if err == nil && (ack[0] != 0x20 || ack[3] != 0) {
		err = fmt.Errorf("mqtt: answer % x", ack)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// settledRSS waits until the process's memory stands still.
func settledRSS(ctx context.Context, pid int) (int64, error) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	last := int64(-1)
	for range 20 {
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-tick.C:
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(b), "Rss:")
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			return 0, fmt.Errorf("no Rss in smaps_rollup of %d", pid)
		}
		kib, err := strconv.ParseInt(fields[0], 10, 64)
		if err != nil {
			return 0, err
		}
		if kib<<10 == last {
			break
		}
		last = kib << 10
	}
	return last, nil
}
