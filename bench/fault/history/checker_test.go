package history_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"edgeloop/bench/fault/history"
)

// entries makes log lines of one device from sequences.
func entries(device string, seqs ...uint64) (all []history.Entry) {
	for _, seq := range seqs {
		e := history.Entry{Device: device, Epoch: 1, Seq: seq}
		e.Data.Device, e.Data.Seq = device, seq
		all = append(all, e)
	}
	return all
}

// check gives a log to a checker and returns what it finds broken.
func check(records []history.Record, log ...history.Entry) (found []string) {
	c := history.NewChecker(records)
	for _, e := range log {
		c.Entry(e)
	}
	for _, v := range c.Finish() {
		found = append(found, fmt.Sprintf("%s %s %d", v.Promise, v.Device, v.Seq))
	}
	return found
}

// Each way in which a log can break a promise is found and named, and nothing else
// is.
func TestChecker_NamesEachViolation(t *testing.T) {
	five := []history.Record{{Device: "a", Sent: 5, Acked: 4}, {Device: "b", Sent: 2, Acked: 0}}
	old := entries("a", 1, 2, 3, 4)
	old[2].Epoch, old[1].Epoch = 1, 2
	old[3].Epoch = 2
	foreign := entries("a", 1, 2, 3, 4)
	foreign[1].Data.Device = "b"
	swapped := entries("a", 1, 2, 3, 4)
	swapped[1].Data.Seq = 3
	for name, c := range map[string]struct {
		log  []history.Entry
		want []string
	}{
		"sound, nothing unacknowledged stored":       {entries("a", 1, 2, 3, 4), nil},
		"sound, stored before it was acknowledged":   {append(entries("b", 1, 2), entries("a", 1, 2, 3, 4, 5)...), nil},
		"the tail is lost":                           {entries("a", 1, 2, 3), []string{"lost a 4"}},
		"everything is lost":                         {nil, []string{"lost a 1"}},
		"lost in the middle":                         {entries("a", 1, 3, 4), []string{"lost a 2"}},
		"a hole above what is acknowledged":          {append(entries("a", 1, 2, 3, 4), entries("b", 2)...), []string{"hole b 1"}},
		"doubled at once":                            {entries("a", 1, 2, 2, 3, 4), []string{"doubled a 2"}},
		"doubled later":                              {entries("a", 1, 2, 3, 4, 1), []string{"doubled a 1"}},
		"reordered":                                  {entries("a", 1, 3, 2, 4), []string{"reordered a 2"}},
		"reordered and doubled":                      {entries("a", 2, 1, 1, 3, 4), []string{"reordered a 1", "doubled a 1"}},
		"a sequence that was never sent":             {entries("a", 1, 2, 3, 4, 5, 6), []string{"forged a 6"}},
		"a device that never was":                    {append(entries("a", 1, 2, 3, 4), entries("c", 1)...), []string{"forged c 1"}},
		"without a sequence":                         {append(entries("a", 1, 2, 3, 4), entries("b", 0)...), []string{"forged b 0"}},
		"the data of another device":                 {foreign, []string{"forged a 2"}},
		"the data of another message":                {swapped, []string{"forged a 2"}},
		"an older session writes after a newer one":  {old, []string{"old epoch a 3"}},
		"hostile devices keep no record":             {append(entries("x-1", 7), entries("a", 1, 2, 3, 4)...), nil},
		"one device's fault is not that of the next": {append(entries("b", 1, 1), entries("a", 1, 2, 3, 4)...), []string{"doubled b 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := check(five, c.log...); !slices.Equal(got, c.want) {
				t.Errorf("found %q, want %q", got, c.want)
			}
		})
	}
}

func TestChecker_Line(t *testing.T) {
	c := history.NewChecker([]history.Record{{Device: "a", Sent: 1, Acked: 1}})
	if err := c.Line([]byte(`{"tenant":"default","device":"a","epoch":9,"seq":1,"type":"telemetry","topic":"t","received":5,"data":{"d":"a","n":1}}`)); err != nil {
		t.Fatal(err)
	}
	if err := c.Line([]byte(`{"tenant":`)); err == nil {
		t.Error("half a line is taken for a line")
	}
	if found := c.Finish(); found != nil || c.Lines() != 1 {
		t.Errorf("found %v on %d lines", found, c.Lines())
	}
}

// The printed history holds what shows the loss, and not the thousands of messages
// before and after it.
func TestShortest(t *testing.T) {
	at := func(s int) time.Duration { return time.Duration(s) * time.Second }
	r := history.Record{Device: "a", Sent: 400, Acked: 400, Events: []history.Event{
		{At: at(1), Kind: history.Welcomed, To: 1},
		{At: at(2), Kind: history.Sent, From: 1, To: 100},
		{At: at(3), Kind: history.Acked, To: 50},
		{At: at(4), Kind: history.Acked, To: 100},
		{At: at(5), Kind: history.Sent, From: 101, To: 200},
		{At: at(6), Kind: history.Ended, Note: "reset"},
		{At: at(7), Kind: history.Welcomed, From: 100, To: 2},
		{At: at(8), Kind: history.Sent, From: 101, To: 200},
		{At: at(9), Kind: history.Acked, To: 140},
		{At: at(10), Kind: history.Acked, To: 200},
		{At: at(11), Kind: history.Sent, From: 201, To: 400},
		{At: at(12), Kind: history.Acked, To: 400},
	}}
	kills := []history.Event{{At: at(0), Kind: history.Injected, Note: "ready"}, {At: at(6), Kind: history.Injected, Note: "kill -9"}, {At: at(13), Kind: history.Injected, Note: "kill -9"}}
	var got []int
	for _, e := range history.Shortest(history.Violation{Promise: history.Lost, Device: "a", Seq: 150}, r, kills) {
		got = append(got, int(e.At.Seconds()))
	}
	if want := []int{4, 5, 6, 6, 7, 8, 10}; !slices.Equal(got, want) {
		t.Errorf("the history has the events of seconds %v, want %v", got, want)
	}
}
