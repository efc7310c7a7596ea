package eventloop

import (
	"testing"
	"time"

	"edgeloop/internal/testkit"
)

// On a crowded machine a loop that naps waits for a processor each time. After a nap that
// ended late none follows; one that ended in time, or was ended by a post, is no such sign.
func TestNap_NotAfterALateOne(t *testing.T) {
	s, err := New(Config{Listeners: []Listener{{Address: "127.0.0.1:0"}}, Nap: time.Hour}, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := newLoop(s, nil)
	ended := time.Now().Add(24 * time.Hour) // whatever pauses this test
	l.nappedOnLoop(ended.Add(-time.Hour-napLate/2), ended)
	if !l.awake.IsZero() {
		t.Error("a nap that ended in time counts as late")
	}
	l.nappedOnLoop(ended.Add(-time.Hour-2*napLate), ended)
	l.gather = true
	up := make(chan struct{}, 1)
	go func() {
		l.napOnLoop()
		up <- struct{}{}
	}()
	testkit.Receive(t, time.Minute, "the loop to stay awake", up)
}
