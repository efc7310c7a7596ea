package main

import (
	"testing"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

// A kept session of an application reads the records of all tenants: it is slowed down while it
// catches up, as a sink is.
func TestMQTTApps_CatchUpAtAPace(t *testing.T) {
	n := &node{backbone: backbonetest.Open(t, backbone.Config{DataDir: t.TempDir()})}
	n.pacer = n.newPacer()
	r, err := mqttLog{n.backbone, n.pacer}.Open(t.Context(), "mqtt:acme/app", backbone.Newest)
	if err != nil {
		t.Fatal(err)
	}
	if paced, is := r.(pacedReader); !is || paced.pacer != n.pacer || paced.name != "mqtt:acme/app" {
		t.Errorf("the reader is a %T", r)
	}
}
