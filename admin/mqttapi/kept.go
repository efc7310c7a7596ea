package mqttapi

import (
	"strings"
	"time"
)

// Kept is what keeps a place in the log for applications: a session, or a group of shared
// subscriptions.
type Kept struct {
	Tenant string
	// Name is the client identifier of a session, or GROUP/FILTER.
	Name  string
	Group bool
	// Left is when the client of a session went; zero: it is here, or a node has crashed since, or
	// it is a group.
	Left time.Time
}

// KeptAt is what keeps a place with that name and note; false: the place is of something else.
func KeptAt(place, note string) (k Kept, ok bool) {
	if rest, is := strings.CutPrefix(place, groupPrefix); is {
		k.Group = true
		k.Tenant, k.Name, ok = strings.Cut(rest, "/")
		return k, ok
	}
	if k.Tenant, k.Name, ok = SessionOf(place); !ok {
		return k, false
	}
	if s, readable := readSession(note); readable && s.Left {
		k.Left = time.Unix(s.Seen, 0).UTC()
	}
	return k, true
}
