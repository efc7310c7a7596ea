package mqttapi_test

import "testing"

// What a device publishes below the name of another comes at the same topic live and retained, below
// its own, also when the node begins anew. A table that has it otherwise gives it to nobody.
func TestRetained_NobodySpeaksForAnother(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const own = "devices/meter/devices/victim/t"
	t.Run("at once", func(t *testing.T) {
		n, _ := startRetaining(t, dir, 100)
		live, _ := n.enter(hello{id: "live", token: tokenAcme, clean: true})
		live.subscribe(1, "devices/#")
		n.retain("acme", "devices/victim/t", "x")
		n.retain("acme", "devices/meter/t", "x")
		live.want(own, "x")
		c, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true})
		if got, want := n.retained(c, 0, "devices/#"), "devices/meter/devices/victim/t=x/0/true devices/meter/t=x/0/true"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
	t.Run("from the log", func(t *testing.T) {
		n, _ := startRetaining(t, dir, 100)
		const line = `{"tenant":"acme","device":"meter","type":"telemetry","topic":"devices/victim/u","received":5,"qos":1,"retain":true,"data":1}`
		n.table.Reserve("acme", "devices/victim/u", len(line))
		n.table.Retain("acme", "devices/victim/u", true, 0, []byte(line))
		c, _ := n.enter(hello{id: "app", token: tokenAcme, clean: true})
		for filter, want := range map[string]string{"devices/victim/#": "", "devices/meter/+/#": own + "=x/0/true devices/meter/t=x/0/true"} {
			if got := n.retained(c, 0, filter); got != want {
				t.Errorf("%s: got %s, want %s", filter, got, want)
			}
		}
	})
}
