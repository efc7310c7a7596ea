package admin_test

import (
	"testing"

	"edgeloop/admin/api"
)

// Readers are listed by tenant, kind and name, and one is forgotten by both.
func TestReaders(t *testing.T) {
	f := newFixture(t)
	if got := string(f.call("GET", "/v1/readers", "").want(200).body); got != `{"readers":[]}`+"\n" {
		t.Errorf("without any: %s", got)
	}
	lag := uint64(7)
	f.log.ReadersFunc = func(string) ([]api.Reader, error) {
		return []api.Reader{
			{Tenant: "b", Kind: "grpc", Reader: "x", Place: "x-1"},
			{Tenant: "a", Kind: "mqtt", Reader: "w", Place: "x-1"},
			{Tenant: "a", Kind: "grpc", Reader: "y", Place: "x-1", LagRecords: &lag},
			{Tenant: "a", Kind: "grpc", Reader: "x", Place: "x-2", Missed: 3},
		}, nil
	}
	var all api.Readers
	f.call("GET", "/v1/readers", "").want(200).into(&all)
	if r := all.Readers; len(r) != 4 || r[0].Reader != "x" || r[0].Missed != 3 || *r[1].LagRecords != 7 || r[2].Reader != "w" || r[3].Tenant != "b" {
		t.Errorf("%+v", all)
	}
	f.log.ForgetFunc = func(tenant, name string) (bool, error) { return tenant == "a" && name == "x", nil }
	f.call("DELETE", "/v1/readers/x?tenant=a", "").want(204)
	f.call("DELETE", "/v1/readers/x", "").problem(404, "not-found")
	f.call("DELETE", "/v1/readers/x?reader=y", "").problem(400, "bad-request")
}
