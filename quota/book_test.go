package quota_test

import (
	"slices"
	"testing"

	"edgeloop/quota"
)

// TestBook: a tenant has its own limits or those of all others. What is changed by hand
// stays when the rest is given anew, until it is taken back, and nothing else of its tenant
// does.
func TestBook(t *testing.T) {
	var b quota.Book
	if b.Of("acme") != (quota.Limits{}) || b.Named("acme") {
		t.Error("an empty book has limits")
	}
	own, others := quota.Limits{Connections: 1, Groups: 1}, quota.Limits{Connections: 2, Groups: 2}
	b.Give(others, map[string]quota.Limits{"acme": own})
	if b.Of("acme") != own || b.Of("evil") != others || !b.Named("acme") || b.Named("evil") {
		t.Errorf("acme has %+v, evil %+v", b.Of("acme"), b.Of("evil"))
	}
	b.SetByHand(quota.Changes{"evil": {"max_connections": 3}})
	if want := (quota.Limits{Connections: 3, Groups: 2}); b.Of("evil") != want || b.Given("evil") != others || !b.Named("evil") {
		t.Errorf("evil has %+v after a change by hand, want %+v", b.Of("evil"), want)
	}
	if got := b.Names(); !slices.Equal(got, []string{"acme", "evil"}) {
		t.Errorf("named are %v", got)
	}
	b.Give(own, nil)
	if want := (quota.Limits{Connections: 3, Groups: 1}); b.Of("evil") != want || b.Of("acme") != own || b.Named("acme") {
		t.Errorf("evil has %+v when others are given, want %+v; acme %+v", b.Of("evil"), want, b.Of("acme"))
	}
	b.SetByHand(nil)
	if b.Of("evil") != own || b.Named("evil") {
		t.Errorf("evil has %+v after the change was taken back", b.Of("evil"))
	}
}
