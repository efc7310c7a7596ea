package mqttapi

import "testing"

// No device has a topic under the name of another, whatever it publishes by whichever protocol;
// what devices of MQTT publish elsewhere stays as it is.
func TestTopics_NobodySpeaksForAnother(t *testing.T) {
	t.Parallel()
	qos := byte(1)
	for _, c := range []struct {
		template, device, topic, want string
		qos                           *byte
	}{
		{DefaultTopics, "me", "plant/t", "plant/t", &qos},
		{DefaultTopics, "me", "devices", "devices", &qos},
		{DefaultTopics, "me", "devices/me/t", "devices/me/t", &qos},
		{DefaultTopics, "me", "devices/other/t", "devices/me/devices/other/t", &qos},
		{DefaultTopics, "me", "devices/meter/t", "devices/me/devices/meter/t", &qos},
		{DefaultTopics, "me", "devices//t", "devices/me/devices//t", &qos},
		{DefaultTopics, "me", "t", "devices/me/t", nil},
		{DefaultTopics, "me", "../other/t", "devices/me/../other/t", nil},
		{DefaultTopics, "me", "", "devices/me/telemetry", nil},
		{DefaultTopics, "me", "a/+/#\x00", "devices/me/a/%2B/%23%00", nil},
		{"own/{type}/{device}/{topic}", "me", "own/status/me/t", "own/telemetry/me/own/status/me/t", &qos},
		{"own/{type}/{device}/{topic}", "me", "t", "own/telemetry/me/t", nil},
	} {
		topics, err := ParseTopics(c.template)
		if err != nil {
			t.Fatal(err)
		}
		if got := topics.Of(&record{Device: c.device, Type: "telemetry", Topic: c.topic, QoS: c.qos}); got != c.want {
			t.Errorf("%s, %q: %q, want %q", c.template, c.topic, got, c.want)
		}
	}
	for _, bad := range []string{"", "{topic}", "{device}/{topic}", "a/{topic}", "a/{device}", "a/{device}/{topic}/b", "a/x{device}/{topic}", "a//{device}/{topic}", "$a/{device}/{topic}", "a/+/{device}/{topic}", "a/{tenant}/{device}/{topic}", "/{device}/{topic}"} {
		if _, err := ParseTopics(bad); err == nil {
			t.Errorf("%q is a template", bad)
		}
	}
}
