package retained_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"

	"edgeloop/backbone/reader"
	"edgeloop/backbone/store"
	"edgeloop/internal/testkit"
	"edgeloop/retained"
)

func TestMain(m *testing.M) { testkit.Leaks(m) }

// memLog is a log of which all is durable.
type memLog struct {
	id     string
	during func(read int) // called behind each record that is read, nil: not

	mu sync.Mutex
	// Guarded by mu.
	lines []string // the first has position 1
	read  int
}

func (l *memLog) Edge(context.Context, reader.Start) (store.Place, error) {
	end, _ := l.Durable()
	return store.Place{Log: l.id, Position: end}, nil
}

func (l *memLog) Durable() (uint64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.lines)), true
}

func (l *memLog) AwaitDurable(context.Context, uint64) error { return nil }

func (l *memLog) Read(ctx context.Context, o reader.Options, fn func(uint64, []byte) error) error {
	l.mu.Lock()
	lines := slices.Clone(l.lines)
	l.mu.Unlock()
	if o.Log != l.id || o.After > uint64(len(lines)) {
		return errors.New("the log does not reach there")
	}
	for i := int(o.After); i < len(lines); i++ { //nolint:gosec // a few
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l.mu.Lock()
		l.read++
		read := l.read
		l.mu.Unlock()
		if err := fn(uint64(i)+1, []byte(lines[i])); err != nil {
			return err
		}
		if l.during != nil {
			l.during(read)
		}
	}
	return nil
}

func (l *memLog) add(line string) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
	return uint64(len(l.lines))
}

// memStore is a store that fails when it is told to.
type memStore struct {
	mu sync.Mutex
	// Guarded by mu.
	all    map[string]store.RetainedMessage // by tenant and topic
	place  store.Place
	there  bool
	calls  int
	fails  int    // behind so many messages; -1: never
	during func() // called in Keep, nil: not
}

func newStore() *memStore { return &memStore{all: map[string]store.RetainedMessage{}, fails: -1} }

var errStore = errors.New("the store cannot be written")

func (s *memStore) Keep(ctx context.Context, all []store.RetainedMessage, upto store.Place) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if s.during != nil {
		s.during()
	}
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	for i, m := range all {
		if i == s.fails {
			return i, errStore
		}
		if key := m.Tenant + " " + m.Topic; m.Line == nil {
			delete(s.all, key)
		} else {
			s.all[key] = m
		}
	}
	if s.fails >= 0 {
		return len(all), errStore
	}
	s.place, s.there = upto, true
	return len(all), nil
}

func (s *memStore) Each(_ context.Context, fn func(store.RetainedMessage)) (store.Place, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.all {
		fn(m)
	}
	return s.place, s.there, nil
}

// said is what the store has: topics with positions.
func (s *memStore) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for key, m := range s.all {
		out = append(out, fmt.Sprint(key, "@", m.Position))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func (s *memStore) called() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// rig is a table with its log and its store.
type rig struct {
	testing.TB

	*retained.Table
	log   *memLog
	store *memStore
}

func start(tb testing.TB, most int) *rig {
	r := &rig{TB: tb, log: &memLog{id: "log"}, store: newStore()}
	r.open(most)
	if err := r.Load(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return r
}

func (r *rig) open(most int) {
	r.Table = retained.New(retained.Config{Log: r.log, Store: r.store, Most: most, Logger: zap.NewNop()})
}

// line is a record that is to be retained.
func line(tenant, topic, payload string) string {
	data := fmt.Sprintf(`"data":%q`, payload)
	if payload == "" {
		data = `"data":"","encoding":"base64"`
	}
	return fmt.Sprintf(`{"tenant":%q,"device":"d","type":"telemetry","topic":%q,"received":5,"qos":1,"retain":true,%s}`, tenant, topic, data)
}

// publish has a message go its way; false: there was no room for it.
func (r *rig) publish(tenant, topic, payload string) bool {
	l := line(tenant, topic, payload)
	reserved := payload != "" && r.Reserve(tenant, topic, len(l))
	r.Retain(tenant, topic, reserved, r.log.add(l), []byte(l))
	return reserved || payload == ""
}

// has is what a filter of a tenant matches: topics with positions.
func (r *rig) has(tenant, filter string) string {
	var out []string
	for _, s := range r.Match(tenant, filter, "", 1000) {
		if m := r.Message(s); m != nil {
			out = append(out, fmt.Sprint(s.Topic(), "@", m.Position))
		}
	}
	return strings.Join(out, " ")
}

func (r *rig) want(what, got, want string) {
	r.Helper()
	if got != want {
		r.Errorf("%s: %q, want %q", what, got, want)
	}
}

// The last message of each topic of a tenant is there, until one without a payload takes it out.
// [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-7]
func TestTable_Last(t *testing.T) {
	r := start(t, 100)
	for _, m := range []struct{ tenant, topic, payload string }{
		{"a", "x/1", "old"}, {"a", "x/2", "1"}, {"b", "x/1", "theirs"}, {"a", "x/1", "new"}, {"a", "y", "1"}, {"a", "x/2", ""}, {"a", "never", ""},
	} {
		if !r.publish(m.tenant, m.topic, m.payload) {
			t.Errorf("no room for %v", m)
		}
	}
	r.want("all of a", r.has("a", "#"), "x/1@4 y@5")
	r.want("some of a", r.has("a", "x/+"), "x/1@4")
	r.want("all of b", r.has("b", "#"), "x/1@3")
	r.want("all of nobody", r.has("c", "#"), "")
	r.publish("b", "x/1", strings.Repeat("large", 1000))
	r.publish("b", "x/1", "small") // takes no more than it is
	if n, size := r.Counts(); n != 3 || size < 3*100 || size > 3*1000 {
		t.Errorf("counts %d with %d bytes", n, size)
	}
}

// What is borrowed is copied.
func TestTable_Copies(t *testing.T) {
	r := start(t, 100)
	b := []byte(line("a", "x", "1"))
	want := string(b)
	r.Reserve("a", "x", len(b))
	r.Retain("a", "x", true, 1, b)
	clear(b)
	r.want("the line", string(r.Message(r.Match("a", "x", "", 1)[0]).Line), want)
}

// Pages are in the order of topics, and whole.
func TestTable_Pages(t *testing.T) {
	r := start(t, 1000)
	for _, i := range rand.Perm(100) {
		r.publish("a", fmt.Sprintf("x/%03d", i), "1")
		r.publish("a", fmt.Sprintf("y/%03d", i), "1")
	}
	for _, most := range []int{1, 7, 50, 100, 1000} {
		n, after := 0, ""
		for page := r.Match("a", "x/#", after, most); len(page) > 0; page = r.Match("a", "x/#", after, most) {
			for _, s := range page {
				r.want("the next", s.Topic(), fmt.Sprintf("x/%03d", n))
				n++
			}
			if after = page[len(page)-1].Topic(); len(page) > most {
				t.Errorf("a page of %d has %d", most, len(page))
			}
		}
		if n != 100 {
			t.Errorf("in pages of %d there are %d topics", most, n)
		}
	}
}

// A tenant that floods has half of the room and no more, also in bytes, and takes nothing from
// others. What is there can be replaced, and taken out, which makes room.
func TestTable_Bounds(t *testing.T) {
	r := start(t, 8)
	flood := func(tenant string, size int) (took int) {
		for i := range 10 {
			if r.publish(tenant, fmt.Sprint("t", i), strings.Repeat("x", size)) {
				took++
			}
		}
		return took
	}
	for _, of := range []struct {
		tenant     string
		size, want int
	}{{"a", 1, 4}, {"big", 6 << 10, 2}, {"c", 1, 2}} {
		if took := flood(of.tenant, of.size); took != of.want {
			t.Errorf("%s has %d, want %d", of.tenant, took, of.want)
		}
	}
	if !r.publish("a", "t1", "again") || r.publish("a", "more", "x") {
		t.Error("a full tenant may replace, and have no more")
	}
	if !r.publish("a", "t2", "") || !r.publish("a", "more", "x") {
		t.Error("what is taken out makes no room")
	}
	if r.publish("a", "t3", strings.Repeat("x", 4<<20)) {
		t.Error("there is room for any size")
	}
	r.want("a, whose t3 is not the last", r.has("a", "#"), "more@34 t0@1 t1@31")
	only := start(t, 1)
	if !only.publish("a", "x", "1") || only.publish("b", "x", "1") {
		t.Error("of one there is one")
	}
}

// What needs nothing more is taken, also where there is more than may be: a record was larger than
// whoever asked for its room has thought.
func TestTable_ReplacesAboveTheBound(t *testing.T) {
	r := start(t, 2)
	for _, tenant := range []string{"a", "b"} {
		r.Reserve(tenant, "x", 100)
		r.Retain(tenant, "x", true, 1, make([]byte, 8<<10))
	}
	if r.Check() == nil {
		t.Error("no more is there than may be")
	}
	for _, tenant := range []string{"a", "b"} {
		if !r.publish(tenant, "x", "1") {
			t.Error("what needs nothing more is refused")
		}
	}
	if err := r.Check(); err != nil {
		t.Error(err)
	}
}

// Whatever comes in whatever order, is given back or never comes: nobody has more than he may, and
// what is counted is what is there.
func TestTable_Anything(t *testing.T) {
	const most = 10
	r := start(t, most)
	type coming struct {
		tenant, topic string
		reserved      bool
		size          int
	}
	var onWay []coming
	for range 50_000 {
		if rand.IntN(2) == 0 && len(onWay) < 30 {
			c := coming{tenant: fmt.Sprint(rand.IntN(3)), topic: fmt.Sprint(rand.IntN(8)), size: rand.IntN(9 << 10)}
			c.reserved = rand.IntN(3) > 0 && r.Reserve(c.tenant, c.topic, c.size)
			onWay = append(onWay, c)
			continue
		}
		if len(onWay) == 0 {
			continue
		}
		c := onWay[0]
		if onWay = onWay[1:]; rand.IntN(4) == 0 {
			if c.reserved {
				r.GiveBack(c.tenant, c.topic)
			}
			continue
		}
		r.Retain(c.tenant, c.topic, c.reserved, 1, make([]byte, c.size))
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range onWay {
		if c.reserved {
			r.GiveBack(c.tenant, c.topic)
		}
	}
	for i := range 3 {
		for j := range 8 {
			r.Retain(fmt.Sprint(i), fmt.Sprint(j), false, 1, nil)
		}
	}
	if n, size := r.Counts(); n != 0 || size != 0 || r.Slots() != 0 {
		t.Errorf("%d messages, %d bytes and %d slots are left of nothing", n, size, r.Slots())
	}
}
