package devicemgr_test

import (
	"cmp"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"edgeloop/devicemgr"
)

// known is what the naive model knows of a device.
type known struct {
	link     *link // nil while offline
	epoch    uint64
	left     int // when it left, as a count; for the order of forgetting
	durable  uint64
	accepted uint64
	groups   map[string]bool
	spokenOf bool // the present connection was lifted
}

func (k *known) busy() bool { return k.accepted > k.durable }

// conn is a connection as its owner knows it, long after it was replaced too.
type conn struct {
	s     *devicemgr.Session[link]
	epoch uint64
	key   devicemgr.Key
}

// model drives a Manager and plain maps side by side.
type model struct {
	m          *devicemgr.Manager[link]
	maxOffline int
	lifted     bool // connections are spoken of when they are lifted
	now        time.Time
	departures int
	floor      uint64 // the highest epoch that was forgotten
	devices    map[devicemgr.Key]*known
	conns      []conn
	want, told []devicemgr.Presence
}

func drawKey(t *rapid.T) devicemgr.Key {
	return devicemgr.Key{
		Tenant: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "tenant"),
		Device: rapid.SampledFrom([]string{"1", "2", "3", "4"}).Draw(t, "device"),
	}
}

func (m *model) drawConn(t *rapid.T) conn {
	if len(m.conns) == 0 {
		t.Skip("no connections yet")
	}
	return rapid.SampledFrom(m.conns).Draw(t, "conn")
}

// connect, and takeover where the device is online.
func (m *model) connect(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(-2, 3).Draw(t, "µs")) * time.Microsecond)
	k, l := drawKey(t), &link{}
	s, epoch, replaced := m.m.Connect(k, l)
	d := m.devices[k]
	cause := devicemgr.CauseConnected
	var old *link
	if d == nil {
		d = &known{epoch: m.floor}
		m.devices[k] = d
	} else if d.link != nil {
		old, cause = d.link, devicemgr.CauseTookOver
	}
	if replaced != old {
		t.Fatalf("%v: replaced %p, want %p", k, replaced, old)
	}
	d.link, d.epoch, d.groups = l, max(d.epoch+1, uint64(m.now.UnixMicro())), map[string]bool{}
	if epoch != d.epoch {
		t.Fatalf("%v: epoch %d, want %d", k, epoch, d.epoch)
	}
	m.conns = append(m.conns, conn{s, epoch, k})
	if d.spokenOf = !m.lifted; d.spokenOf {
		m.want = append(m.want, devicemgr.Presence{Key: k, Epoch: epoch, Online: true, At: m.now, Cause: cause})
	}
}

// end reports the end of any connection there ever was, once more or late.
func (m *model) end(t *rapid.T) {
	c := m.drawConn(t)
	d := m.devices[c.key]
	want := d != nil && d.link != nil && d.epoch == c.epoch
	if got := m.m.Unregister(c.s, c.epoch); got != want {
		t.Fatalf("%v: end of epoch %d is %v, want %v", c.key, c.epoch, got, want)
	}
	if want {
		m.gone(c.key, devicemgr.CauseLeft)
	}
}

// heard is what some node has said of a device, with an older or a newer epoch.
func (m *model) heard(t *rapid.T) {
	k := drawKey(t)
	speaker, online := rapid.IntRange(-1, 1).Draw(t, "speaker"), rapid.Bool().Draw(t, "online")
	here := known{epoch: 50}
	if d := m.devices[k]; d != nil {
		here = *d
	}
	epoch := here.epoch + uint64(rapid.IntRange(-1, 1).Draw(t, "above")) //nolint:gosec // epochs are larger
	var ended *link
	told := devicemgr.Presence{Key: k, Epoch: here.epoch, At: m.now, Cause: devicemgr.CauseCorrected}
	switch {
	case here.link == nil && speaker == 0 && online:
		told.Epoch = max(epoch, here.epoch)
		if m.devices[k] == nil {
			told.Epoch = epoch
		}
		m.want = append(m.want, told)
	case here.link == nil || !here.spokenOf || speaker == 0 && epoch == here.epoch:
	case speaker != 0 && online && (epoch > here.epoch || epoch == here.epoch && speaker > 0):
		ended = here.link
	default:
		told.Online = true
		m.want = append(m.want, told)
	}
	if got := m.m.Heard(devicemgr.Presence{Key: k, Epoch: epoch, Online: online}, speaker); got != ended {
		t.Fatalf("%v: %p is to be closed, want %p", k, got, ended)
	}
	if ended != nil {
		m.gone(k, devicemgr.CauseElsewhere)
	}
}

// gone notes that a device that was online is remembered.
func (m *model) gone(k devicemgr.Key, cause devicemgr.Cause) {
	d := m.devices[k]
	m.departures++
	d.link, d.groups, d.left = nil, nil, m.departures
	m.want = append(m.want, devicemgr.Presence{Key: k, Epoch: d.epoch, At: m.now, Cause: cause})
	for range devicemgr.ForgetSteps {
		if m.offline() <= m.maxOffline {
			break
		}
		k := m.oldest()
		if m.devices[k].busy() { // passed over, and last from now on
			m.departures++
			m.devices[k].left = m.departures
			continue
		}
		m.drop(k)
	}
}

// lift raises the epoch of any connection there ever was, if it is the newest.
func (m *model) lift(t *rapid.T) {
	c := m.drawConn(t)
	above := c.epoch + uint64(rapid.IntRange(-2, 5).Draw(t, "above")) //nolint:gosec // epochs are larger
	d := m.devices[c.key]
	want, ok := c.epoch, d != nil && d.link != nil && d.epoch == c.epoch
	if ok && above >= c.epoch {
		want = above + 1
		d.epoch = want
	}
	if ok && (m.lifted || want != c.epoch) {
		d.spokenOf = true
		m.want = append(m.want, devicemgr.Presence{Key: c.key, Epoch: want, Online: true, At: m.now, Cause: devicemgr.CauseConnected})
	}
	if got, now := m.m.Lift(c.s, c.epoch, above); got != want || now != ok {
		t.Fatalf("%v: lifted from %d to %d, %v; want %d, %v", c.key, c.epoch, got, now, want, ok)
	}
	m.conns = append(m.conns, conn{c.s, want, c.key})
}

// discard drops the session of any connection there ever was, also twice.
func (m *model) discard(t *rapid.T) {
	c := m.drawConn(t)
	d := m.devices[c.key]
	var want *link
	if d != nil && m.m.Lookup(c.key) == c.s {
		if want = d.link; want != nil {
			m.want = append(m.want, devicemgr.Presence{Key: c.key, Epoch: d.epoch, At: m.now, Cause: devicemgr.CauseDiscarded})
		}
		m.drop(c.key)
	}
	if got := m.m.Discard(c.s); got != want || !c.s.Forgotten() {
		t.Fatalf("%v: discarded with %v, want %v", c.key, got, want)
	}
}

func (m *model) drop(k devicemgr.Key) {
	m.floor = max(m.floor, m.devices[k].epoch)
	delete(m.devices, k)
}

func (m *model) offline() (n int) {
	for _, d := range m.devices {
		if d.link == nil {
			n++
		}
	}
	return n
}

// oldest is the one that left, or was passed over, before all others.
func (m *model) oldest() (oldest devicemgr.Key) {
	first := true
	for k, d := range m.devices {
		if d.link == nil && (first || d.left < m.devices[oldest].left) {
			oldest, first = k, false
		}
	}
	return oldest
}

func (m *model) forget(t *rapid.T) {
	k := drawKey(t)
	d := m.devices[k]
	want := d != nil && d.link == nil
	if got := m.m.Forget(k); got != want {
		t.Fatalf("Forget %v: %v, want %v", k, got, want)
	}
	if want {
		m.drop(k)
	}
}

// sequence moves what was accepted or what is durable of the newest session.
func (m *model) sequence(t *rapid.T) {
	k := drawKey(t)
	d, s := m.devices[k], m.m.Lookup(k)
	if d == nil {
		t.Skip("not known")
	}
	n := rapid.Uint64Range(1, 3).Draw(t, "n")
	if rapid.Bool().Draw(t, "accept") {
		d.accepted = max(d.accepted, d.durable) + n
		if !s.AcceptOnLane(s.AcceptedOnLane() + n) {
			t.Fatalf("%v accepts nothing", k)
		}
		return
	}
	seq := min(d.durable+n, d.accepted)
	d.durable = max(d.durable, seq)
	s.SetDurable(seq)
}

// isNewest says whether c is the connection that its device has now.
func (m *model) isNewest(c conn) bool {
	d := m.devices[c.key]
	return d != nil && d.link != nil && d.epoch == c.epoch && m.m.Lookup(c.key) == c.s
}

func (m *model) join(t *rapid.T) {
	c, name := m.drawConn(t), rapid.SampledFrom([]string{"g", "h", "i"}).Draw(t, "group")
	if err := m.m.Join(c.s, c.epoch, name, 0); (err == nil) != m.isNewest(c) {
		t.Fatalf("Join: %v", err)
	}
	if m.isNewest(c) {
		m.devices[c.key].groups[name] = true
	}
}

func (m *model) leave(t *rapid.T) {
	c, name := m.drawConn(t), rapid.SampledFrom([]string{"g", "h", "i"}).Draw(t, "group")
	if err := m.m.Leave(c.s, c.epoch, name); err != nil { // who is not the newest has left all
		t.Fatal(err)
	}
	if m.isNewest(c) {
		delete(m.devices[c.key].groups, name)
	}
}

func (m *model) check(t *rapid.T) {
	if err := m.m.Check(); err != nil {
		t.Fatal(err)
	}
	online, remembered := m.m.Len()
	if off := m.offline(); remembered != off || online != len(m.devices)-off {
		t.Fatalf("%d online and %d remembered, want %d and %d", online, remembered, len(m.devices)-off, off)
	}
	page, next := m.m.List(devicemgr.Filter{}, "", 100)
	keys := slices.SortedFunc(maps.Keys(m.devices), func(a, b devicemgr.Key) int {
		return cmp.Or(cmp.Compare(a.Tenant, b.Tenant), cmp.Compare(a.Device, b.Device))
	})
	if len(page) != len(keys) || next != "" {
		t.Fatalf("listed %d, want %d", len(page), len(keys))
	}
	for i, k := range keys {
		d, s := m.devices[k], m.m.Lookup(k)
		if page[i].Key != k || s == nil || s.Key() != k || s.Link() != d.link || s.Epoch() != d.epoch ||
			s.Durable() != d.durable || s.AcceptedOnLane() != max(d.accepted, d.durable) ||
			!slices.Equal(page[i].Groups, slices.Sorted(maps.Keys(d.groups))) {
			t.Fatalf("%v is %+v, want %+v", k, page[i], d)
		}
	}
	for _, tenant := range []string{"a", "b", "c"} {
		for _, name := range []string{"g", "h", "i"} {
			m.checkGroup(t, tenant, name)
		}
	}
	if !slices.Equal(m.told, m.want) {
		t.Fatalf("told %+v, want %+v", m.told, m.want)
	}
	m.told, m.want = nil, nil
}

func (m *model) checkGroup(t *rapid.T, tenant, name string) {
	var want []string
	for k, d := range m.devices {
		if k.Tenant == tenant && d.groups[name] {
			want = append(want, k.Device)
		}
	}
	slices.Sort(want)
	if got := members(m.m, tenant, name); !slices.Equal(got, want) {
		t.Fatalf("group %s of %s: %v, want %v", name, tenant, got, want)
	}
}

// Random connects, takeovers, late and repeated closes, forgetting and groups,
// against plain maps.
func TestManager_Model(t *testing.T) {
	for _, collide := range []bool{false, true} {
		rapid.Check(t, func(t *rapid.T) {
			m := &model{
				maxOffline: rapid.IntRange(1, 5).Draw(t, "MaxOffline"),
				lifted:     rapid.Bool().Draw(t, "lifted"),
				now:        time.UnixMicro(50),
				devices:    map[devicemgr.Key]*known{},
			}
			var err error
			m.m, err = devicemgr.New[link](devicemgr.Config{
				MaxOffline: m.maxOffline,
				Lifted:     m.lifted,
				Now:        func() time.Time { return m.now },
				OnPresence: func(p devicemgr.Presence) { m.told = append(m.told, p) },
			})
			if err != nil {
				t.Fatal(err)
			}
			if collide {
				m.m.CollideHashes()
			}
			t.Repeat(map[string]func(*rapid.T){
				"connect": m.connect, "end": m.end, "forget": m.forget, "discard": m.discard, "heard": m.heard, "lift": m.lift, "sequence": m.sequence,
				"join": m.join, "leave": m.leave, "": m.check,
			})
		})
	}
}
