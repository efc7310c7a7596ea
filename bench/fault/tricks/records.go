package tricks

import (
	"bytes"
	"strings"
)

// tlsRecords are of a device that was let in, whose records are not what they should be.
func tlsRecords() []Trick {
	all := recordTricks()
	for i := range all {
		all[i].Records = true
	}
	return all
}

func recordTricks() []Trick {
	// one sends some records and hears the end.
	one := func(name, about string, wire func(s *sealer) []byte, want ...string) Trick {
		return Trick{Name: name, About: about, Want: want, try: func(t *try) string { return t.records(wire) }}
	}
	many := func(kind byte, payload []byte, padding, n int) func(s *sealer) []byte {
		return func(s *sealer) (all []byte) {
			for range n {
				all = append(all, s.seal(kind, payload, padding)...)
			}
			return all
		}
	}
	bad := []string{"alert: …", cut}
	telemetry := frame(fin|text, `{"type":"telemetry","seq":1,"data":{"x":"`+strings.Repeat("d", 200)+`"}}`)
	return []Trick{
		{Name: "record-1", About: "a message in records of one byte: it is allowed", Want: []string{"ack"}, try: func(t *try) string {
			return t.saysInRecords(func(s *sealer) (all []byte) {
				for _, b := range []byte(telemetry) {
					all = append(all, s.seal(data, []byte{b}, 0)...)
				}
				return all
			})
		}},
		{Name: "record-16k", About: "a message in records of 16 KiB: it is allowed", Want: []string{"ack"}, try: func(t *try) string {
			return t.saysInRecords(func(s *sealer) []byte {
				long := frame(fin|text, `{"type":"telemetry","seq":1,"data":{"x":"`+strings.Repeat("d", 40_000)+`"}}`)
				return append(append(s.seal(data, []byte(long[:16384]), 0), s.seal(data, []byte(long[16384:32768]), 0)...), s.seal(data, []byte(long[32768:]), 0)...)
			})
		}},
		one("record-large", "a record of 16 KiB and one byte", many(data, make([]byte, 16385), 0, 1), bad...),
		one("record-larger", "a record of 20 KiB", many(data, make([]byte, 20_000), 0, 1), bad...),
		one("altered", "a record in which a bit was changed", func(s *sealer) []byte {
			r := s.seal(data, []byte(telemetry), 0)
			r[20] ^= 1
			return r
		}, "alert: bad record MAC", cut),
		one("repeated", "a record that comes twice", func(s *sealer) []byte {
			r := s.seal(data, []byte(telemetry), 0)
			return append(bytes.Clone(r), r...)
		}, "alert: bad record MAC", cut),
		one("zeros", "a record of padding alone", many(0, nil, 100, 1), bad...),
		one("no-record", "a record in the clear", func(*sealer) []byte { return record(handshake, []byte{1, 0, 0, 0}) }, bad...),
		one("change-cipher", "change_cipher_spec in the session", func(*sealer) []byte { return bytes.Repeat(record(changeCipher, []byte{1}), 100) }, bad...),
		one("hello-again", "a second hello in the session", many(handshake, hello()[5:], 0, 1), bad...),
		one("record-heartbeat", "a heartbeat in the session", many(24, []byte{1, 0xff, 0xff}, 0, 1), bad...),
		one("record-empty", "empty records without end", many(data, nil, 0, 20_000), bad...),
		one("padding", "records of padding without end", many(data, nil, 16000, 200), bad...),
		one("record-alerts", "warnings without end", many(alert, []byte{1, 90}, 0, 20_000), bad...),
		one("never-ends", "a message of the handshake that announces 256 KiB", func(s *sealer) []byte {
			return append(s.seal(handshake, append([]byte{4, 4, 0, 0}, make([]byte, 10_000)...), 0), many(handshake, make([]byte, 10_000), 0, 30)(s)...)
		}, bad...),
		one("update-cut", "half a key update, then data", func(s *sealer) []byte {
			return append(s.seal(handshake, keyUpdate(0)[:3], 0), s.seal(data, []byte(telemetry), 0)...)
		}, bad...),
		one("update-wrong", "a key update with a value that does not exist", many(handshake, keyUpdate(2), 0, 1), bad...),
		one("update-twice", "two key updates in a record", many(handshake, append(keyUpdate(0), keyUpdate(0)...), 0, 1), bad...),
		{Name: "updates", About: "key updates without end", Want: []string{cut}, try: func(t *try) string { return t.updates(0, "") }},
		{Name: "updates-asked", About: "key updates that ask for one, without end", Want: []string{cut}, try: func(t *try) string { return t.updates(1, "") }},
		{Name: "updates-byte", About: "key updates with a byte between them", Want: []string{cut}, try: func(t *try) string { return t.updates(1, "x") }},
	}
}

// records sends records, and hears how the node ends the connection.
func (t *try) records(wire func(s *sealer) []byte) string {
	s, d, err := t.overTLS()
	if err != nil {
		return t.ended(err)
	}
	defer d.conn.Close()
	all := wire(s)
	go func() { _, _ = s.to.Write(all) }()
	return d.heard()
}

// saysInRecords sends a message, and hears what comes of it.
func (t *try) saysInRecords(wire func(s *sealer) []byte) string {
	s, d, err := t.overTLS()
	if err != nil {
		return t.ended(err)
	}
	defer d.conn.Close()
	if _, err := s.to.Write(wire(s)); err != nil {
		return t.ended(err)
	}
	return d.answer()
}

// updates changes its key 3,000 times, with something between two of them.
func (t *try) updates(asked byte, between string) string {
	s, d, err := t.overTLS()
	if err != nil {
		return t.ended(err)
	}
	defer d.conn.Close()
	pings := strings.Repeat(frame(fin|ping, ""), 2000)
	var all []byte
	for i := range 3000 {
		all = append(all, s.seal(handshake, keyUpdate(asked), 0)...)
		if err := s.next(); err != nil {
			return err.Error()
		}
		if between != "" {
			all = append(all, s.seal(data, []byte{pings[i]}, 0)...)
		}
	}
	go func() { _, _ = s.to.Write(all) }()
	return t.wait(s.to) // what crypto/tls makes of so many answers is not of interest
}
