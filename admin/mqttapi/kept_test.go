package mqttapi_test

import (
	"maps"
	"testing"
	"time"

	"edgeloop/admin/mqttapi"
	"edgeloop/backbone"
)

// Of each place in a log it can be told which application's it is, and since when one that is
// away is.
func TestKeptAt(t *testing.T) {
	t.Parallel()
	n := start(t, t.TempDir(), mqttapi.Config{})
	before := time.Now().UTC().Truncate(time.Second)
	away, _ := n.enter(hello{id: "away", token: tokenAll, user: "globex", expiry: 3600})
	away.leave()
	n.gone()
	here, _ := n.enter(hello{id: "here/1", token: tokenAcme, expiry: 3600})
	here.subscribe(1, "t/#", "$share/g/t/+")
	if _, err := n.log.OpenReader(t.Context(), "sink:lake", backbone.Newest); err != nil {
		t.Fatal(err)
	}
	got := map[mqttapi.Kept]bool{}
	if err := n.log.ReaderPlaces(t.Context(), func(name string, at backbone.Place) {
		k, ok := mqttapi.KeptAt(name, at.Note)
		switch {
		case !ok:
			k = mqttapi.Kept{Name: name}
		case !k.Left.IsZero():
			if k.Left.Before(before) || k.Left.After(time.Now()) {
				t.Errorf("%s left at %v", name, k.Left)
			}
			k.Left = before
		}
		got[k] = true
	}); err != nil {
		t.Fatal(err)
	}
	want := map[mqttapi.Kept]bool{
		{Tenant: "globex", Name: "away", Left: before}: true, {Tenant: "acme", Name: "here/1"}: true,
		{Tenant: "acme", Name: "g/t/+", Group: true}: true, {Name: "sink:lake"}: true,
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
