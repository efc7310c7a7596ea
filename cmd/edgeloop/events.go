package main

import (
	"fmt"
	"slices"
	"strings"

	"edgeloop/gateway"
)

// eventNames are the events that may be kept.
func eventNames() (names []string) {
	for t := range gateway.NumEvents {
		names = append(names, gateway.EventType(t).String()) //nolint:gosec // small
	}
	return names
}

func isEvent(name string) bool { return slices.Contains(eventNames(), name) }

// planEvents checks --events.
func (s *serveCmd) planEvents() error {
	for _, name := range s.Events {
		if !isEvent(name) {
			return fmt.Errorf("--events=%s: there is no event %q: give some of %s, separated by commas", strings.Join(s.Events, ","), name, strings.Join(eventNames(), ", "))
		}
	}
	return nil
}

// eventTypes are the events that are kept.
func (s *serveCmd) eventTypes() (types []gateway.EventType) {
	for t := range gateway.NumEvents {
		if t := gateway.EventType(t); slices.Contains(s.Events, t.String()) { //nolint:gosec // small
			types = append(types, t)
		}
	}
	return types
}
