package e2e_test

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/eclipse/paho.golang/paho"

	"edgeloop/internal/testkit"
)

// paho5 is a client of Paho's library for Go and MQTT 5, and what comes to it; largest is its
// Maximum Packet Size, 0 for none.
func paho5(t *testing.T, addr, id, token string, largest uint32) (*paho.Client, <-chan *paho.Publish) {
	t.Helper()
	conn, err := net.Dial("tcp4", addr)
	if err != nil {
		t.Fatal(err)
	}
	came := make(chan *paho.Publish, 100)
	c := paho.NewClient(paho.ClientConfig{Conn: conn, PacketTimeout: patience, OnPublishReceived: []func(paho.PublishReceived) (bool, error){
		func(p paho.PublishReceived) (bool, error) {
			came <- p.Packet
			return true, nil
		},
	}})
	hello := &paho.Connect{ClientID: id, CleanStart: true, KeepAlive: 60, Username: "default", UsernameFlag: true, Password: []byte(token), PasswordFlag: true, Properties: &paho.ConnectProperties{}}
	if largest > 0 {
		hello.Properties.MaximumPacketSize = &largest
	}
	if _, err := c.Connect(t.Context(), hello); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Disconnect(&paho.Disconnect{}) })
	return c, came
}

// What a device of Paho says beside its payload reaches applications of Paho as it was, each alone
// or sharing, and the node says itself who sent it. One that is too large, with that, for an
// application does not reach this one, and those behind it do.
func TestMQTTApps_Properties(t *testing.T) {
	t.Parallel()
	n, addr := mqttNode(t)
	subscribed := func(id, filter string, largest uint32) <-chan *paho.Publish {
		t.Helper()
		c, came := paho5(t, addr, id, n.adminToken(), largest)
		if _, err := c.Subscribe(t.Context(), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: 1}}}); err != nil {
			t.Fatal(err)
		}
		return came
	}
	apps := map[string]<-chan *paho.Publish{
		"alone": subscribed("alone", "temp", 0), "sharing": subscribed("sharing", "$share/g/temp", 0), "small": subscribed("small", "temp", 600),
	}
	device, _ := paho5(t, addr, "meter", n.token("meter"), 0)
	format := byte(1)
	sent := []*paho.PublishProperties{
		{PayloadFormat: &format, ContentType: "text/plain", ResponseTopic: "answers/1", CorrelationData: []byte{0, 0xff}, User: paho.UserProperties{{Key: "region", Value: "eu"}, {Key: "device", Value: "another"}, {Key: "a", Value: "1"}, {Key: "region", Value: "us"}}},
		{User: paho.UserProperties{{Key: "large", Value: strings.Repeat("x", 600)}}},
		nil,
	}
	for i, props := range sent {
		if _, err := device.Publish(t.Context(), &paho.Publish{Topic: "temp", QoS: 1, Payload: fmt.Append(nil, i), Properties: props}); err != nil {
			t.Fatal(err)
		}
	}
	for name, came := range apps {
		for i, props := range sent {
			if name == "small" && i == 1 {
				continue
			}
			m := testkit.Receive(t, patience, "a message", came)
			if string(m.Payload) != fmt.Sprint(i) {
				t.Fatalf("%s has %s, want %d", name, m, i)
			}
			if props == nil {
				props = &paho.PublishProperties{}
			}
			p := m.Properties
			from := slices.IndexFunc(p.User, func(u paho.UserProperty) bool { return u.Key == "position" }) + 1
			own := slices.DeleteFunc(slices.Clone(props.User), func(u paho.UserProperty) bool { return u.Key == "device" })
			if p.User.Get("device") != "meter" || p.User.Get("type") != "telemetry" || from != 3 || !slices.Equal(p.User[from:], own) {
				t.Errorf("%s has the user properties %+v of %d, want those of the node, and %+v", name, p.User, i, own)
			}
			if p.ContentType != props.ContentType || p.ResponseTopic != props.ResponseTopic || string(p.CorrelationData) != string(props.CorrelationData) || (p.PayloadFormat == nil) != (props.PayloadFormat == nil) {
				t.Errorf("%s has %+v of %d, want %+v", name, p, i, props)
			}
		}
	}
}
