package eventloop_test

import (
	"testing"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

// A question whether the loops turn hears of the one that hangs, and that it goes on.
func TestServer_Lag(t *testing.T) {
	held, free := make(chan bool, 1), make(chan struct{})
	s := serve(t, eventloop.Config{Loops: 1, Tick: tick}, admit(func(*eventloop.Conn) eventloop.Receiver {
		return &ears{receive: func(eventloop.Kind, []byte) {
			held <- true
			<-free
		}}
	}))
	d := s.open()
	d.send(text("stay here"))
	testkit.Receive(t, patience, "the loop to be held", held)
	testkit.Eventually(t, patience, "the loop to be noticed", func() bool { return s.Lag() >= 4*tick })
	close(free)
	testkit.Eventually(t, patience, "the loop to go on", func() bool { return s.Lag() <= tick })
}
