package backbone_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

func TestBackbone_ReadChooses(t *testing.T) {
	b := open(t, backbone.Config{DataDir: t.TempDir()})
	var rs []backbone.Record
	for n, name := range []string{"acme/d", "acme/d.1", "acme/d", "other/d", "a.cme/d"} {
		tenant, device, _ := strings.Cut(name, "/")
		rs = append(rs, backbone.Record{Tenant: tenant, Device: device, Type: "telemetry", Data: fmt.Append(nil, n)})
	}
	backbonetest.Append(t, b, rs)
	for name, tt := range map[string]struct {
		o    backbone.ReadOptions
		want string
	}{
		"everything":          {backbone.ReadOptions{}, "0 1 2 3 4"},
		"a tenant":            {backbone.ReadOptions{Tenant: "acme"}, "0 1 2"},
		"a device":            {backbone.ReadOptions{Tenant: "acme", Device: "d.1"}, "1"},
		"a device by name":    {backbone.ReadOptions{Device: "d"}, "0 2 3 4"},
		"a name with a dot":   {backbone.ReadOptions{Tenant: "a.cme"}, "4"},
		"a wildcard is none":  {backbone.ReadOptions{Tenant: "*"}, ""},
		"since now":           {backbone.ReadOptions{Since: time.Now().Add(time.Hour)}, ""},
		"since before it all": {backbone.ReadOptions{Since: time.Now().Add(-time.Hour)}, "0 1 2 3 4"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := dataOf(readAll(t, b, tt.o)); got != tt.want {
				t.Errorf("read %q, want %q", got, tt.want)
			}
		})
	}
}

func TestBackbone_ReadSince(t *testing.T) {
	b := open(t, backbone.Config{DataDir: t.TempDir()})
	backbonetest.Append(t, b, []backbone.Record{{Tenant: "acme", Device: "d", Type: "telemetry", Data: []byte("0")}})
	between := time.Now()
	backbonetest.Append(t, b, []backbone.Record{{Tenant: "acme", Device: "d", Type: "telemetry", Data: []byte("1")}})
	if got := dataOf(readAll(t, b, backbone.ReadOptions{Since: between})); got != "1" {
		t.Errorf("read %q", got)
	}
}

func TestBackbone_ReadEndsAtWhatWasNewest(t *testing.T) {
	b := open(t, backbone.Config{DataDir: t.TempDir()})
	one := []backbone.Record{{Tenant: "acme", Device: "d", Type: "telemetry", Data: []byte("0")}}
	backbonetest.Append(t, b, one)
	n := 0
	err := b.Read(t.Context(), backbone.ReadOptions{}, func(uint64, []byte) error {
		n++
		backbonetest.Append(t, b, one) // a reader that follows would never end
		return nil
	})
	if err != nil || n != 1 {
		t.Errorf("read %d, %v; want 1", n, err)
	}
}

func TestBackbone_ReadFollows(t *testing.T) {
	b := open(t, backbone.Config{DataDir: t.TempDir()})
	enough := errors.New("enough")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	next, ended := make(chan string), make(chan error, 1)
	go func() {
		ended <- b.Read(ctx, backbone.ReadOptions{Follow: true}, func(_ uint64, line []byte) error {
			next <- dataOf([]string{string(line)})
			return nil
		})
	}()
	for _, want := range []string{"0", "1", "2"} {
		backbonetest.Append(t, b, []backbone.Record{{Tenant: "acme", Device: "d", Type: "telemetry", Data: []byte(want)}})
		if got := awaitNext(t, next, ended); got != want {
			t.Errorf("read %q, want %q", got, want)
		}
		if want == "0" {
			eventually(t, "the server to say who reads", func() bool {
				n, err := backbone.Consumers(t.Context(), b, backbone.StreamUp)
				if err == nil && n != 0 {
					t.Errorf("who reads all of the log in this process has %d consumers", n)
				}
				return err == nil
			})
		}
		if want == "1" {
			if err := backbone.RestartServer(b); err != nil {
				t.Fatal(err)
			}
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
	eventually(t, "the connection to be there again, and a reader to end with fn's error", func() bool {
		return errors.Is(b.Read(t.Context(), backbone.ReadOptions{Follow: true}, func(uint64, []byte) error { return enough }), enough)
	})
}

// awaitNext takes what a reader gives next, which must not end instead.
func awaitNext(t *testing.T, next <-chan string, ended <-chan error) (data string) {
	t.Helper()
	select {
	case data = <-next:
	case err := <-ended:
		t.Fatalf("the reader ended with %v", err)
	case <-time.After(time.Minute):
		t.Fatal("the reader gives nothing more")
	}
	return data
}

// A reader that has come to the end goes on behind what is taken meanwhile, be it all there was.
func TestBackbone_ReadFollowsOverAGap(t *testing.T) {
	b := open(t, backbone.Config{DataDir: t.TempDir()})
	one := func(data string) []backbone.Record {
		return []backbone.Record{{Tenant: "acme", Device: "d", Type: "telemetry", Data: []byte(data)}}
	}
	for _, data := range []string{"0", "1", "2"} {
		backbonetest.Append(t, b, one(data))
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	next, more, ended := make(chan string), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- b.Read(ctx, backbone.ReadOptions{Follow: true}, func(_ uint64, line []byte) error {
			next <- dataOf([]string{string(line)})
			<-more
			return nil
		})
	}()
	for _, data := range []string{"0", "3", "4"} {
		if got := awaitNext(t, next, ended); got != data {
			t.Errorf("read %q, want %q", got, data)
		}
		if err := backbone.PurgeLog(t.Context(), b); err != nil { // before it looks for the next one
			t.Fatal(err)
		}
		more <- struct{}{}
		backbonetest.Append(t, b, one(map[string]string{"0": "3", "3": "4", "4": "5"}[data]))
	}
	awaitNext(t, next, ended)
	close(more)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}

// A reader who comes back names the last position it saw, and gets what lies
// behind it: nothing twice, nothing left out, also when the log was opened anew.
func TestBackbone_ReadAfter(t *testing.T) {
	dir := t.TempDir()
	b := open(t, backbone.Config{DataDir: dir})
	for n := range 5 {
		device := []string{"d", "e"}[n%2]
		backbonetest.Append(t, b, []backbone.Record{{Tenant: "acme", Device: device, Type: "telemetry", Data: fmt.Append(nil, n)}})
	}
	var at []uint64
	if err := b.Read(t.Context(), backbone.ReadOptions{}, func(position uint64, _ []byte) error {
		at = append(at, position)
		return nil
	}); err != nil || len(at) != 5 || !slices.IsSorted(at) || at[0] == 0 {
		t.Fatalf("positions %v, %v", at, err)
	}
	backbonetest.Close(t, b)
	b = open(t, backbone.Config{DataDir: dir})
	for n, want := range []string{"1 2 3 4", "2 3 4", "3 4", "4", ""} {
		o := backbone.ReadOptions{After: at[n], Since: time.Now().Add(time.Hour)}
		if got := dataOf(readAll(t, b, o)); got != want {
			t.Errorf("behind record %d: read %q, want %q", n, got, want)
		}
	}
	if got := dataOf(readAll(t, b, backbone.ReadOptions{After: at[0], Device: "d"})); got != "2 4" {
		t.Errorf("of one device: read %q", got)
	}
	var beyond *backbone.PositionError
	for _, after := range []uint64{at[4] + 1, math.MaxUint64} {
		err := b.Read(t.Context(), backbone.ReadOptions{After: after, Follow: true}, nil)
		if !errors.As(err, &beyond) || beyond.End != at[4] || beyond.After != after {
			t.Errorf("behind a position that is not there: %v", err)
		}
	}
	another := backbone.ReadOptions{After: at[0], Log: "anothero"}
	if err := b.Read(t.Context(), another, nil); !errors.As(err, &beyond) || beyond.Log != "anothero" || beyond.Is != b.Identity() {
		t.Errorf("behind a position of another log: %v", err)
	}
	if got := dataOf(readAll(t, b, backbone.ReadOptions{After: at[2], Log: b.Identity()})); got != "3 4" {
		t.Errorf("behind a position of this log: read %q", got)
	}
	if err := backbone.PurgeLog(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	backbonetest.Append(t, b, []backbone.Record{{Tenant: "acme", Device: "d", Type: "telemetry", Data: []byte("5")}})
	if got := dataOf(readAll(t, b, backbone.ReadOptions{After: at[1]})); got != "5" {
		t.Errorf("behind what is kept no more: read %q", got)
	}
}

// A reader of what is new learns where that begins, so that it can come back also
// when nothing came.
func TestBackbone_ReadNew(t *testing.T) {
	b := open(t, backbone.Config{DataDir: t.TempDir()})
	add := func(data string) {
		backbonetest.Append(t, b, []backbone.Record{{Tenant: "acme", Device: "d", Type: "telemetry", Data: []byte(data)}})
	}
	enough := errors.New("enough")
	for n, old := range []string{"none", "some"} {
		var from []uint64
		var got []string
		err := b.Read(t.Context(), backbone.ReadOptions{New: true, Follow: true}, func(position uint64, line []byte) error {
			if line == nil {
				from = append(from, position)
				add("new")
				return nil
			}
			got = append(got, string(line))
			return enough
		})
		if !errors.Is(err, enough) || len(from) != 1 || from[0] != uint64(n) || dataOf(got) != "new" {
			t.Errorf("with %s before: behind %v read %q, %v", old, from, dataOf(got), err)
		}
	}
	if got := readAll(t, b, backbone.ReadOptions{New: true}); len(got) != 1 || got[0] != "" {
		t.Errorf("who does not follow got %q", got)
	}
}

func TestBackbone_LastSeq(t *testing.T) {
	dir := t.TempDir()
	b := open(t, backbone.Config{DataDir: dir})
	backbonetest.Append(t, b, []backbone.Record{
		{Tenant: "acme", Device: "d", Epoch: 7, Seq: 4, Type: "telemetry", Data: []byte("1")},
		{Tenant: "acme", Device: "d.1", Seq: 9, Type: "telemetry", Data: []byte("1")},
		{Tenant: "acme", Device: "d", Epoch: 8, High: 4, Type: "telemetry", Data: []byte("1")},
		{Tenant: "acme", Device: "e", Type: "telemetry", Data: []byte("1")},
	})
	epochs := map[string]uint64{"d": 8}
	check := func(b *backbone.Backbone) {
		t.Helper()
		for device, want := range map[string]uint64{"d": 4, "d.1": 9, "e": 0, "never": 0} {
			if got, err := b.Last(t.Context(), "acme", device); err != nil || got.Seq != want || got.Epoch != epochs[device] {
				t.Errorf("Last(%s) = %+v, %v; want sequence %d, epoch %d", device, got, err, want, epochs[device])
			}
		}
	}
	check(b)
	backbonetest.Close(t, b)
	check(open(t, backbone.Config{DataDir: dir}))
	if _, err := b.Last(t.Context(), "acme", "d"); !errors.Is(err, backbone.ErrClosed) {
		t.Errorf("Last after Close: %v", err)
	}
	if err := b.StoreCommand(t.Context(), "acme", "d", "1", nil, 0); !errors.Is(err, backbone.ErrClosed) {
		t.Errorf("StoreCommand after Close: %v", err)
	}
	if err := b.Append([]backbone.Record{record("d", 1, nil)}); !errors.Is(err, backbone.ErrClosed) {
		t.Errorf("Append after Close: %v", err)
	}
	if err := b.Read(t.Context(), backbone.ReadOptions{}, nil); !errors.Is(err, backbone.ErrClosed) {
		t.Errorf("Read after Close: %v", err)
	}
}

// Two nodes on one external server: each reads what both wrote, and a device that
// moves finds its sequence on the other.
func TestBackbone_ExternalServerIsShared(t *testing.T) {
	ext := startExternal(t)
	one := open(t, backbone.Config{NATSURL: ext.url, Node: "one"})
	two := open(t, backbone.Config{NATSURL: ext.url, Node: "two"})
	backbonetest.Append(t, one, []backbone.Record{record("d", 1, nil), record("d", 2, nil)})
	if last, err := two.Last(t.Context(), "default", "d"); err != nil || last.Seq != 2 {
		t.Errorf("Last on the other node = %+v, %v", last, err)
	}
	backbonetest.Append(t, two, []backbone.Record{record("d", 3, nil)})
	wantSequence(t, one, 3)
	wantSequence(t, two, 3)
}

// The stream of an external server vanishes. It is made again, and what had not
// been confirmed goes into it.
func TestBackbone_ExternalStreamIsMadeAgain(t *testing.T) {
	ext := startExternal(t)
	b := open(t, backbone.Config{NATSURL: ext.url})
	backbonetest.Append(t, b, []backbone.Record{record("d", 1, nil), record("d", 2, nil)})
	if err := backbone.DeleteLog(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	backbonetest.Append(t, b, []backbone.Record{record("d", 1, nil), record("d", 2, nil)})
	wantSequence(t, b, 2)
}

// dataOf is the data of lines that have nothing behind it.
func dataOf(lines []string) string {
	var out []string
	for _, line := range lines {
		_, data, _ := strings.Cut(line, `"data":`)
		out = append(out, strings.TrimSuffix(data, "}"))
	}
	return strings.Join(out, " ")
}
