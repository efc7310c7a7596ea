package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "edgeloop/api/edgeloop/v1"
	"edgeloop/internal/testkit"
)

// What mosquitto_pub says beside a payload is in the record, wherever it is read: the tail, a
// service by gRPC, files as records, as CloudEvents and as fields.
func TestMQTT_Properties(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, more string) string {
		return "\n  - {name: " + name + ", type: file, dir: " + filepath.Join(dir, name) + ", min_free: 0, batch: {wait: 10ms}" + more + "}"
	}
	grpc := freeAddr(t)
	n, addr := mqttNode(t, "--auth=none", "--grpc-listen", grpc, withSinks(t, file("records", "")+file("events", ", format: cloudevents")+
		file("fields", ", fields: {position: position, region: properties.user.region, type: properties.content_type}")))
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	pub := mosquitto(t, "mosquitto_pub", addr, "-V", "5", "-i", "meter", "-t", "temp", "-q", "1", "-m", "21.5",
		"-D", "publish", "user-property", "region", "eu", "-D", "publish", "user-property", "traceparent", parent, "-D", "publish", "user-property", "region", "us",
		"-D", "publish", "payload-format-indicator", "1", "-D", "publish", "content-type", "text/plain",
		"-D", "publish", "response-topic", "answers/1", "-D", "publish", "correlation-data", "c1")
	if out, err := pub.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	const kept = `"properties":{"payload_format":1,"content_type":"text/plain","response_topic":"answers/1","correlation_data":"YzE=","user":[["region","eu"],["traceparent","` + parent + `"],["region","us"]]},"data":21.5`
	if out := n.tool("tail", "--since", "all", "--no-follow"); !strings.Contains(out, kept) {
		t.Errorf("tail says %s", out)
	}
	for name, want := range map[string][]string{
		"records": {kept}, "fields": {`"region":"eu","type":"text/plain"`},
		"events": {`"region":"eu"`, `"traceparent":"` + parent + `"`, `"responsetopic":"answers/1"`, `"correlationdata":"YzE="`},
	} {
		var text []byte
		testkit.Eventually(t, patience, name+" to have the record", func() bool {
			text, _ = os.ReadFile(filepath.Join(dir, name, "records.part")) // it is made with the first record
			return strings.HasSuffix(string(text), "}\n")
		})
		if !containsAll(string(text), want...) {
			t.Errorf("%s has %s, want %q", name, text, want)
		}
	}
	g := &grpcNode{node: n, grpc: grpc}
	r := g.reading(g.client(g.own()), &v1.Open{Reader: "lake"})
	opened(t, r)
	m, err := recv(t, r.Recv)
	if err != nil || len(m.GetRecords().GetRecords()) != 1 {
		t.Fatalf("%v, %v, want the record", m, err)
	}
	p := m.GetRecords().GetRecords()[0].GetProperties()
	if p.GetPayloadFormat() != 1 || p.GetContentType() != "text/plain" || p.GetResponseTopic() != "answers/1" || string(p.GetCorrelationData()) != "c1" ||
		len(p.GetUser()) != 3 || p.GetUser()[2].GetName() != "region" || p.GetUser()[2].GetValue() != "us" {
		t.Errorf("by gRPC it has %v", p)
	}
	n.stop()
}
