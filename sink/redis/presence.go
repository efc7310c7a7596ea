package redis

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"edgeloop/presence"
	"edgeloop/sink"
	"edgeloop/sink/keys"
)

// board is a Redis that has a key for each device that is connected.
type board struct {
	// Immutable after construction.
	server server
	key    sink.Template
	ttl    string // in seconds
	keep   bool   // set that a device is offline, instead of deleting its key

	// Owned by who calls Put.
	client rueidis.Client // nil: none
}

// NewPresence makes the target of its keys.
func NewPresence(m *keys.Map, ttl time.Duration) presence.Target {
	b := &board{
		server: readServer(m),
		key:    sink.ReadTemplate(m, "key", "edgeloop:presence:{tenant}:{device}"),
		ttl:    strconv.FormatInt(int64((ttl+time.Second-1)/time.Second), 10),
		keep:   m.Word("offline", "delete", "delete", "set") == "set",
	}
	text := m.Text("key", "{tenant}{device}")
	for _, field := range []string{"{tenant}", "{device}"} {
		if !strings.Contains(text, field) {
			m.Fail("key", "%q: give one with %s, or devices share a key", text, field)
		}
	}
	for _, field := range []string{"{type}", "{topic}"} {
		if strings.Contains(text, field) {
			m.Fail("key", "%q: %s is of records; of a device there are {tenant} and {device}", text, field)
		}
	}
	return b
}

// put sets a key, or deletes it where there is no value, unless it is of a later connection,
// which may be one to another node. What is there and is no state is overwritten.
var put = rueidis.NewLuaScript(`
local was = redis.call('GET', KEYS[1])
if was then
	local ok, s = pcall(cjson.decode, was)
	if ok and type(s) == 'table' and type(s.epoch) == 'number' and s.epoch > tonumber(ARGV[1]) then return 0 end
end
if ARGV[2] == '' then return redis.call('DEL', KEYS[1]) end
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
return 1`)

// Put implements presence.Target: one pipeline of all.
func (b *board) Put(ctx context.Context, states []presence.State) (refused int, err error) {
	if b.client == nil {
		if b.client, err = b.server.dial(ctx, "edgeloop-presence"); err != nil {
			b.client = nil
			return 0, fmt.Errorf("connect to Redis: %w", err)
		}
	}
	all := make([]rueidis.LuaExec, len(states))
	for i := range states {
		s := &states[i]
		all[i] = rueidis.LuaExec{
			Keys: []string{b.key.Expand(&sink.Record{Tenant: s.Tenant, Device: s.Device}, nil)},
			Args: []string{strconv.FormatUint(s.Epoch, 10), b.value(s), b.ttl},
		}
	}
	for _, answer := range put.ExecMulti(ctx, b.client, all...) {
		switch err := answer.Error(); {
		case err == nil:
		case strings.Contains(err.Error(), "WRONGTYPE"):
			refused++
		default:
			b.Close()
			return 0, err
		}
	}
	return refused, nil
}

// value is the JSON of a state, "" for a key that is to go.
func (b *board) value(s *presence.State) string {
	if !s.Online && !b.keep {
		return ""
	}
	text, _ := json.Marshal(struct { //nolint:errchkjson // texts, numbers and a flag
		Online bool   `json:"online"`
		Node   string `json:"node"`
		Epoch  uint64 `json:"epoch"`
		At     int64  `json:"at"`
	}{s.Online, s.Node, s.Epoch, s.At.UnixMilli()})
	return string(text)
}

// Close implements presence.Target.
func (b *board) Close() {
	if b.client != nil {
		b.client.Close()
	}
	b.client = nil
}
