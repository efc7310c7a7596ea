package sinks

import (
	"testing"
	"time"
)

// What Telegraf posts is counted by message, and dated by what each device has put into it.
func TestIntake(t *testing.T) {
	var i intake
	at := time.UnixMilli(1_700_000_000_250)
	i.take(at, []byte(`{"metrics":[{"fields":{"value":"{\"ts\":1700000000000,\"pad\":\"a\"}"},"name":"mqtt_consumer"},`+
		`{"fields":{"value":"begin"}},{"fields":{"value":"{\"ts\":1700000000200,\"pad\":\"b\"}"}}]}`))
	if count, last := i.now(); count != 3 || last != at {
		t.Errorf("%d messages until %v", count, last)
	}
	if late := i.forget(); len(late) != 2 || late[0] != 250 || late[1] != 50 {
		t.Errorf("late: %v", late)
	}
}
