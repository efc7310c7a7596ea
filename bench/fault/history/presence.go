package history

import (
	"fmt"
)

// Listed is a device as the node lists it.
type Listed struct {
	Device  string
	Online  bool
	Epoch   uint64
	Durable uint64
}

// Together joins the lists of two nodes. It lists a device wherever it is online, or else once
// as gone.
func Together(lists ...[]Listed) (all []Listed) {
	known := map[string]bool{}
	for _, online := range []bool{true, false} {
		for _, list := range lists {
			for _, e := range list {
				if e.Online == online && (online || !known[e.Device]) {
					known[e.Device] = true
					all = append(all, e)
				}
			}
		}
	}
	return all
}

// ComparePresence returns the differences between a node's list and devices that are all
// connected (online), or all gone.
func ComparePresence(listed []Listed, records []Record, online bool) (vs []Violation) {
	seen := map[string]Listed{}
	for _, e := range listed {
		if _, twice := seen[e.Device]; twice {
			vs = append(vs, Violation{Promise: TwoLives, Device: e.Device, Detail: "is listed twice"})
		}
		seen[e.Device] = e
	}
	for _, r := range records {
		e, ok := seen[r.Device]
		switch {
		case online && !ok:
			vs = append(vs, Violation{Promise: Presence, Device: r.Device, Detail: "is connected and not listed"})
		case ok && e.Online != online:
			vs = append(vs, Violation{Promise: Presence, Device: r.Device, Detail: fmt.Sprintf("is listed with online=%t", e.Online)})
		case online && e.Epoch != r.Epoch:
			vs = append(vs, Violation{Promise: TwoLives, Device: r.Device, Detail: fmt.Sprintf("is listed with epoch %d, its newest session has %d", e.Epoch, r.Epoch)})
		}
	}
	return vs
}
