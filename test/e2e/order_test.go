package e2e_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

var orderSize = flag.String("order", "200x300", "devices x messages of TestOrder; 1000x1000 is the full size")

// Many devices stream at once through all lanes, and each breaks its connection
// at random, with messages on their way, about every sixty messages. The log holds each device's messages in
// order, without a hole and without a double.
func TestOrder_RandomDisconnects(t *testing.T) {
	var devices int
	var messages uint64
	if _, err := fmt.Sscanf(*orderSize, "%dx%d", &devices, &messages); err != nil {
		t.Fatalf("-order=%s: %v", *orderSize, err)
	}
	n := start(t, "--auth=none")
	f := launch(t, n, devices, messages, func(s *streamer) {
		s.cut = func() bool { return rand.IntN(60) == 0 }
		s.pause = 20 * time.Millisecond
	})
	f.waitAcked(10*time.Minute, uint64(devices)*messages)
	_, acked := f.acked()
	if records := checkLog(t, n, acked); records != devices*int(messages) {
		t.Errorf("the log has %d records, %d were sent", records, uint64(devices)*messages)
	}
	var connections uint64
	for _, s := range f.devices {
		connections += s.welcomed.Load()
	}
	t.Logf("%d devices, %d messages each, %d connections", devices, messages, connections)
	if connections <= uint64(devices) {
		t.Error("no device ever reconnected: the story was not told")
	}
	n.stop()
}
