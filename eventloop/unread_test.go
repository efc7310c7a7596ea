package eventloop_test

import (
	"testing"

	"edgeloop/eventloop"
	"edgeloop/internal/testkit"
)

// TestSilence_UnreadIsNotSilent: a loop that is held up does not take a peer for
// silent whose words lie unread in the kernel.
func TestSilence_UnreadIsNotSilent(t *testing.T) {
	conns := make(chan *eventloop.Conn, 2)
	held, talk := make(chan struct{}, 1), make(chan struct{})
	heard := make(chan bool, 2)
	n := serve(t, eventloop.Config{Loops: 1, Tick: tick}, admit(func(c *eventloop.Conn) eventloop.Receiver {
		conns <- c
		return &ears{receive: func(_ eventloop.Kind, payload []byte) {
			if string(payload) != "hold" {
				return
			}
			talker := <-conns
			heard <- eventloop.Unread(talker)
			held <- struct{}{}
			<-talk
			testkit.Eventually(t, patience, "the talker to be heard by the kernel", func() bool { return eventloop.Unread(talker) })
			heard <- true
		}}
	}))
	talker := n.open()
	holder := n.open()
	testkit.Eventually(t, patience, "both to be admitted", func() bool { return len(conns) == 2 })
	holder.send(text("hold"))
	testkit.Receive(t, patience, "the loop to be held up", held)
	talker.send(text("I am here"))
	close(talk)
	if testkit.Receive(t, patience, "the first look", heard) {
		t.Error("something was unread before anything was sent")
	}
	testkit.Receive(t, patience, "the second look", heard)
}
