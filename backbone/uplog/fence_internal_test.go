package uplog

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
)

// refusedBatch is 1,000 records of as many devices, each expected behind position
// 10, on a log of which this node knows nothing.
func refusedBatch(latest func(subject string) (uint64, nats.Header, error)) (*atomicLog, []item) {
	l := &atomicLog{fence: newFence(), latest: latest}
	items := make([]item, 1000)
	for i := range items {
		items[i] = item{subject: fmt.Sprint("d", i), after: 10, done: wanted{}}
	}
	l.fence.plan(items)
	return l, items
}

type wanted struct{}

func (wanted) Durable(uint64, int)   {}
func (wanted) Overtaken(uint64, int) {}
func (wanted) Wanted() bool          { return true }

var errRefused = errors.New("refused")

// One device of a full batch has moved to another node, 5 ms away from the log.
// Meanwhile nobody's records are stored, so the others must not wait for a
// question each.
func TestFence_ReviewAsksAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const roundTrip = 5 * time.Millisecond
		l, items := refusedBatch(func(subject string) (uint64, nats.Header, error) {
			time.Sleep(roundTrip)
			switch subject {
			case "d7":
				return 11, nil, nil // of another node
			case "d8":
				return 9, nil, nil
			case "d9":
				return 12, nats.Header{headerMsgID: {"start.3.0"}}, nil
			}
			return 10, nil, nil
		})
		began := time.Now()
		if err := l.review("start.4", items, errRefused); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took > 32*roundTrip {
			t.Errorf("the review took %v, %d round trips", took, took/roundTrip)
		}
		for i := range items {
			if items[i].lost != (i == 7) {
				t.Errorf("record %d is lost: %v", i, items[i].lost)
			}
		}
		l.fence.plan(items)
		if got := l.fence.expected[6:11]; fmt.Sprint(got) != "[10 10 9 12 10]" {
			t.Errorf("the next attempt expects %v", got)
		}
	})
}

// The log stops answering within a review. What was learned until then is kept,
// and it is not asked a thousand times.
func TestFence_ReviewIsCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan string, 1000)
		away := errors.New("away")
		l, items := refusedBatch(func(subject string) (uint64, nats.Header, error) {
			asked <- subject
			time.Sleep(time.Second)
			if subject == "d0" {
				return 11, nil, nil
			}
			return 0, nil, away
		})
		if err := l.review("start.4", items, errRefused); err != nil {
			t.Fatalf("something was learned, and yet: %v", err)
		}
		if !items[0].lost || items[1].lost || len(asked) > 2*atOnce {
			t.Errorf("lost: %v, %v; %d questions", items[0].lost, items[1].lost, len(asked))
		}
		l, items = refusedBatch(func(string) (uint64, nats.Header, error) { return 0, nil, away })
		if err := l.review("start.4", items, errRefused); !errors.Is(err, away) {
			t.Errorf("nothing was learned: %v", err)
		}
	})
}
