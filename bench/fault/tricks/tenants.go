package tricks

import (
	"fmt"
	"strings"
)

// tenantTricks are of the administrator of one tenant, who wants what is another's.
// A device d00000 of the tenant default is an innocent one.
func tenantTricks() []Trick {
	ask := func(name, about, method, path, body string, want ...string) Trick {
		return Trick{Name: name, About: about, Want: want, try: func(t *try) string {
			status, answer := t.api(method, path, t.doors.Bound, body)
			if status == "200" && strings.Contains(string(answer), "d0000") {
				return status + ", and it names a device of another tenant"
			}
			return status
		}}
	}
	const victim = "/v1/devices/default/d00000"
	command := `{"name":"reboot"}`
	return []Trick{
		ask("list", "all devices", "GET", "/v1/devices?limit=1000", "", "200"),
		ask("list-other", "the devices of another tenant", "GET", "/v1/devices?tenant=default", "", "403"),
		ask("list-all", "the devices of all tenants", "GET", "/v1/devices?tenant=*", "", "403", "422"),
		ask("list-twice", "two tenants", "GET", "/v1/devices?tenant=other&tenant=default", "", "400"),
		ask("list-after", "the list from a device of another tenant on", "GET", "/v1/devices?limit=10&after=default/d00000", "", "200", "400", "422"),
		ask("device", "a device", "GET", victim, "", "403"),
		ask("device-none", "a device that there is not: the same answer", "GET", "/v1/devices/default/no-such", "", "403"),
		ask("device-dots", "a device by dots", "GET", "/v1/devices/other/..%2Fdefault%2Fd00000", "", "422", "404"),
		ask("command", "a command", "POST", victim+"/commands", command, "403"),
		ask("command-wait", "a command that waits", "POST", victim+"/commands?wait=1s", command, "403"),
		ask("waiting", "the commands that wait", "GET", victim+"/commands", "", "403"),
		ask("cancel", "to take them back", "DELETE", victim+"/commands", "", "403"),
		ask("kick", "to cut it off", "DELETE", victim+"/connection", "", "403"),
		ask("reset", "to reset it", "POST", victim+"/reset", "{}", "403"),
		ask("ban", "to ban it", "PUT", "/v1/bans/default/d00000", "{}", "403"),
		ask("bans", "the bans of all", "GET", "/v1/bans?tenant=default", "", "403"),
		ask("broadcast", "a broadcast to another tenant", "POST", "/v1/broadcast", `{"name":"reboot","tenant":"default"}`, "403"),
		ask("broadcast-group", "a broadcast to a group of another tenant", "POST", "/v1/broadcast", `{"name":"reboot","tenant":"default","group":"g"}`, "403"),
		ask("broadcast-subject", "a broadcast to a tenant that is all of them", "POST", "/v1/broadcast", `{"name":"reboot","tenant":"*"}`, "403", "422"),
		ask("tail", "the records of another tenant", "GET", "/v1/tail?tenant=default&since=all&follow=false", "", "403"),
		ask("tail-device", "the records of its device", "GET", "/v1/tail?tenant=default&device=d00000&since=all&follow=false", "", "403"),
		ask("tail-own", "the records of everybody, without a name", "GET", "/v1/tail?since=all&follow=false", "", "200"),
		ask("metrics", "the node's metrics", "GET", "/metrics", "", "403"),
		{Name: "every-route", About: "each route of the API, for what is another tenant's and what is the node's", Want: []string{apart}, try: (*try).everyRoute},
		{Name: "same-name", About: "a device with the name of another tenant's: it takes nothing over", Want: []string{"both stay"}, try: (*try).sameName},
		{Name: "dotted", About: "names with dots, which would be parts of a subject", Want: []string{"ack"}, try: func(t *try) string {
			c, err := t.dial(t.doors.WS)
			if err != nil {
				return t.ended(err)
			}
			defer c.Close()
			token := t.doors.signed(`{"sub":"` + t.name() + `.d00000","tenant":"x.default"}`)
			status, r := t.say(c, upgrade(devicePath)+"Authorization: Bearer "+token+"\r\n\r\n"+frame(fin|text, `{"type":"telemetry","seq":1,"data":{}}`))
			if status != "101" {
				return status
			}
			d := &device{t: t, conn: c, r: r}
			if how := d.answer(); how != "welcome" {
				return how
			}
			return d.answer()
		}},
	}
}

// sameName connects a device, and one of the same name and of another tenant.
func (t *try) sameName() string {
	d, err := t.device()
	if err != nil {
		return t.ended(err)
	}
	defer d.conn.Close()
	c, err := t.dial(t.doors.WS)
	if err != nil {
		return t.ended(err)
	}
	defer c.Close()
	token := t.doors.signed(`{"sub":"` + t.name() + `","tenant":"` + otherTenant + `"}`)
	if status, _ := t.say(c, upgrade(devicePath)+"Authorization: Bearer "+token+"\r\n\r\n"); status != "101" {
		return status
	}
	if _, err := d.conn.Write([]byte(frame(fin|ping, "p"))); err != nil {
		return t.ended(err)
	}
	if op, _, err := d.frame(); err != nil || op != pong {
		return fmt.Sprintf("the first hears %d, %v", op, err)
	}
	return "both stay"
}
