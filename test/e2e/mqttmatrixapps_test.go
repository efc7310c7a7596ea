package e2e_test

import (
	"fmt"
	"slices"
	"strings"

	"edgeloop/internal/testkit"
)

// application connects a client as an application, which has subscribed to a filter.
func (s *matrixStory) application(as, filter string) matrixOrder {
	s.t.Helper()
	o := s.connect(as)
	o.ID, o.User, o.Password = s.device+as, "default", s.reader
	s.do(o, "connected")
	if e := s.do(matrixOrder{Do: "subscribe", As: o.As, Topic: filter, QoS: 1}, "subscribed"); e.Code != 1 {
		s.t.Errorf("%s: SUBACK %#x", s.name, e.Code)
	}
	return o
}

// Two applications share a subscription: what a device sends comes to one of them, in order, and
// when that goes to the other.
func (s *matrixStory) share() {
	device := s.connect("-device")
	s.do(device, "connected")
	topic := "shared/" + s.device
	var apps []string
	for _, as := range []string{"-one", "-two"} {
		apps = append(apps, s.application(as, "$share/"+s.device+"/"+topic).As)
	}
	sent := 0
	send := func() (to string) {
		sent++
		s.do(matrixOrder{Do: "publish", As: device.As, Topic: topic, Payload: fmt.Sprint(sent), QoS: 1}, "published")
		s.stored = append(s.stored, fmt.Sprint(topic, " ", sent))
		for {
			if e := s.drive.awaitOneOf(s.t, apps, "message"); e.Payload == fmt.Sprint(sent) && e.Topic == topic {
				return e.As
			}
		}
	}
	first := send()
	if next := send(); next != first {
		s.t.Errorf("share: %s has the first message, and %s the second", first, next)
	}
	s.leave(matrixOrder{As: first})
	testkit.Eventually(s.t, patience, "a message to come to the other application", func() bool { return send() != first })
	s.leave(device)
	for _, as := range apps {
		if as != first {
			s.leave(matrixOrder{As: as})
		}
	}
}

// A new subscription gets what a device has retained, and no more what it took out with an empty
// message. Messages that come while it is there have no RETAIN.
func (s *matrixStory) retained() {
	device := s.connect("-device")
	s.do(device, "connected")
	topic := "retained/" + s.device
	send := func(sub, payload, data string, retain bool) {
		s.do(matrixOrder{Do: "publish", As: device.As, Topic: topic + sub, Payload: payload, QoS: 1, Retain: retain}, "published")
		s.stored = append(s.stored, fmt.Sprint(topic, sub, " ", data))
	}
	hears := func(app matrixOrder, want ...string) {
		var got []string
		for range want {
			e := s.await(app.As, "message")
			got = append(got, fmt.Sprintf("%s=%s %t", strings.TrimPrefix(e.Topic, topic), e.Payload, e.Retain))
		}
		if !slices.Equal(got, want) {
			s.t.Errorf("%s gets %q, want %q", app.As, got, want)
		}
	}
	send("/1", "1", "1", true)
	before := s.application("-before", topic+"/#")
	hears(before, "/1=1 true")
	send("/1", "", `""`, true)
	hears(before, "/1= false")
	s.leave(before)
	send("/2", "2", "2", true)
	after := s.application("-after", topic+"/#")
	send("/1", "3", "3", false) // behind all that is retained
	hears(after, "/2=2 true", "/1=3 false")
	s.leave(after)
	s.leave(device)
}
