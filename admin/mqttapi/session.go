package mqttapi

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"edgeloop/mqttproto"
)

// session is what is kept of a client beyond its connection. It rides on the place of its
// reader, so that both are on the disk in one step.
type session struct {
	Expiry uint32 `json:"expiry"` // seconds
	// Seen is when it was last connected, Unix seconds. Left says that it has ended by then;
	// else the node may have crashed since.
	Seen int64 `json:"seen"`
	Left bool  `json:"left,omitempty"`
	// Given is the highest position that it may have been sent, and Shared that of its groups.
	Given  uint64        `json:"given,omitempty"`
	Shared uint64        `json:"shared,omitempty"`
	Subs   subscriptions `json:"subs,omitempty"`
}

// subscriptions are those of a session by filter: never written, but replaced.
type subscriptions map[string]*subscription

// subscription is one filter of a session. It is never written once it is in one.
type subscription struct {
	QoS  byte   `json:"qos"`
	ID   uint32 `json:"id,omitempty"` // subscription identifier; 0: none
	From uint64 `json:"from"`         // it gets what is behind this position
	// AsPublished has a message say whether it was published to be retained.
	AsPublished bool `json:"as_published,omitempty"`
	// Retained has it get what is retained: it has not, or not acknowledged it.
	Retained bool `json:"retained,omitempty"`
}

// neverExpires is the Session Expiry Interval of a session that does not.
const neverExpires = 1<<32 - 1

// Bounds of one session.
const (
	maxFilters     = 64
	maxFilterBytes = 4 << 10 // of all its filters
)

// namePrefix begins the names of the places of sessions. No tenant has a slash in its name, so
// no two sessions share one.
const namePrefix = "mqtt:"

func placeName(tenant, id string) string { return namePrefix + tenant + "/" + id }

// PlaceOf is the name of the place of a client's session.
func PlaceOf(tenant, id string) string { return placeName(tenant, id) }

// SessionOf undoes PlaceOf; false: the place is of something else.
func SessionOf(place string) (tenant, id string, ok bool) {
	rest, is := strings.CutPrefix(place, namePrefix)
	tenant, id, ok = strings.Cut(rest, "/")
	return tenant, id, is && ok
}

// readSession reads what rides on a place.
func readSession(note string) (s session, ok bool) {
	err := json.Unmarshal([]byte(note), &s)
	return s, err == nil
}

func (s *session) note() string {
	b, _ := json.Marshal(s) // which has nothing that could fail
	return string(b)
}

// over says whether a session that is not connected has expired: never before its time, and Seen
// has lost up to a second. What a node that has crashed knew of it counts from the node's next
// start at the earliest. [MQTT-3.1.2-23]
func (s *session) over(now, started time.Time) bool {
	since := time.Unix(s.Seen, 0)
	if !s.Left && since.Before(started) {
		since = started
	}
	return s.Expiry != neverExpires && now.Sub(since) > (time.Duration(s.Expiry)+1)*time.Second
}

// with is the subscriptions with one more, or one that is replaced. [MQTT-3.8.4-3]
func (s *session) with(filter string, sub *subscription) bool {
	before, known := s.Subs[filter]
	if known {
		sub.From = before.From // what lies between is not lost
		sub.Retained = sub.Retained || before.Retained
	}
	size := len(filter)
	for f := range s.Subs {
		size += len(f)
	}
	if !known && (len(s.Subs) >= maxFilters || size > maxFilterBytes) {
		return false
	}
	s.Subs = maps.Clone(s.Subs)
	if s.Subs == nil {
		s.Subs = subscriptions{}
	}
	s.Subs[filter] = sub
	return true
}

// without is the subscriptions without one. [MQTT-3.10.4-2]
func (s *session) without(filter string) bool {
	if s.Subs[filter] == nil {
		return false
	}
	s.Subs = maps.Clone(s.Subs)
	delete(s.Subs, filter)
	return true
}

// wanted is who of a session's subscriptions want a record.
type wanted struct {
	any bool
	qos byte // the highest that is granted
	// retain: one of them wants to know whether it was published to be retained.
	retain bool
	ids    []uint32 // subscription identifiers
}

// want looks for a topic in subscriptions. live is where the connection began: what lies before
// it only those of QoS 1 get. One message goes to all of them. [MQTT-3.3.4-2] [MQTT-3.3.4-4]
func want(subs subscriptions, topic string, position, live uint64) (w wanted) {
	for filter, sub := range subs {
		if position <= sub.From || sub.QoS == 0 && position <= live || !mqttproto.Match(filter, topic) {
			continue
		}
		w.any, w.qos, w.retain = true, max(w.qos, sub.QoS), w.retain || sub.AsPublished
		if sub.ID != 0 && !slices.Contains(w.ids, sub.ID) {
			w.ids = append(w.ids, sub.ID)
		}
	}
	return w
}
