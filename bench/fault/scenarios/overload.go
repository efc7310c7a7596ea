package scenarios

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
)

func overloadScenario() life.Scenario {
	return life.Scenario{
		Name: "overload", About: "messages that do not end take a node's memory: each state refuses its rungs, and nobody who is connected notices",
		Devices: life.Controls, Rounds: 1, Pace: life.ControlPace, NoResources: true,
		Flags: []string{fmt.Sprintf("--max-message=%d", unendingSize), "--inflight-bytes=1GiB", "--free-takeovers=1000000"},
		Setup: func(_ context.Context, l *life.Life) error {
			l.Node.Wrap = []string{"env", fmt.Sprintf("GOMEMLIMIT=%d", unendingLimit)}
			return nil
		},
		Act: actOverload,
	}
}

// loadStates are the states of a node, as they grow worse.
var loadStates = []string{"well", "busy", "strained", "overloaded"}

// sheds is from which state on each load is refused, as docs/overload.md has it; never is none.
var sheds = map[string]int{
	"a backup": 1, "a tail of the past": 1, "any other tail": 2, "a stranger": 2, "a list": 3, "who is known": 3,
	"/healthz": never, "/readyz": never, "/metrics": never, "/v1/node": never, "/v1/limits": never, "one device": never, "a command": never,
}

const never = 4

// actOverload takes the node to the worst state, and gives its memory back by one state after
// the other. In each of them it looks at what is refused, and has messages acknowledged.
func actOverload(ctx context.Context, l *life.Life) error {
	for range l.Options.Rounds {
		err := unhurt(ctx, l, func(ctx context.Context) error {
			u := &unending{life: l}
			defer u.release(unendingPeers)
			if c, err := u.dial(ctx, knownHere); err == nil {
				c.Close()
			}
			if err := u.fill(ctx); err != nil {
				return err
			}
			for s := range slices.Backward(loadStates) {
				if err := u.lead(ctx, s); err != nil {
					return err
				}
				if err := l.Progress(ctx, 30*time.Second, uint64(l.Options.Devices)); err != nil { //nolint:gosec // a count
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return l.Recover(ctx)
}

// lead takes the node down to a state, and looks at what it refuses there.
func (u *unending) lead(ctx context.Context, to int) error {
	var wrong []string
	var eased time.Time
	judged := false
	err := u.life.Await(ctx, 2*time.Minute, "the node to be "+loadStates[to]+" for as long as a look takes", func() bool {
		before, since, used := u.stands(ctx)
		if before > to && time.Since(eased) > easeEvery {
			u.ease(to, used)
			eased = time.Now()
		}
		if before != to {
			return false
		}
		wrong = u.wrong(ctx, to)
		again, still, _ := u.stands(ctx)
		judged = again == to && still == since
		return judged
	})
	if err != nil || !judged {
		return err
	}
	for _, w := range wrong {
		u.life.Journal.Break(history.Violation{Promise: history.Shed, Detail: "a node that is " + loadStates[to] + ": " + w})
	}
	u.life.Note("%s with %d messages that do not end: %d loads are refused, or not, as they are to be", loadStates[to], len(u.peers), len(sheds)-len(wrong))
	if to == len(loadStates)-1 {
		return u.comeAgain(ctx)
	}
	return nil
}

// wrong is what is refused in a state and should not be, or the reverse.
func (u *unending) wrong(ctx context.Context, state int) (all []string) {
	u.came++
	get := func(path string) func() int { return func() int { return u.call(ctx, http.MethodGet, path) } }
	device := u.life.Crew.Devices()[0].Name()
	for load, ask := range map[string]func() int{
		"a tail of the past": func() int { return u.call(ctx, http.MethodHead, "/v1/tail?since=all") },
		"any other tail":     func() int { return u.call(ctx, http.MethodHead, "/v1/tail") },
		"a list":             get("/v1/devices?limit=1"),
		"a stranger":         func() int { return u.comes(ctx, fmt.Sprintf("%sstranger%d", history.Hostile, u.came)) },
		"who is known":       func() int { return u.comes(ctx, knownHere) },
		"a backup": func() int {
			if state < sheds["a backup"] { // it would be made
				return http.StatusOK
			}
			return u.call(ctx, http.MethodPost, "/v1/log/backup")
		},
		"a command": func() int {
			_, status, _ := u.life.Node.Send(ctx, device, "10s", "") // 0 if there is no answer
			return status
		},
		"one device": get("/v1/devices/default/" + device),
		"/healthz":   get("/healthz"), "/readyz": get("/readyz"), "/metrics": get("/metrics"), "/v1/node": get("/v1/node"), "/v1/limits": get("/v1/limits"),
	} {
		want := http.StatusOK
		if state >= sheds[load] {
			want = http.StatusServiceUnavailable
		}
		if got := ask(); got != want {
			all = append(all, fmt.Sprintf("%s is answered %d, want %d", load, got, want))
		}
	}
	slices.Sort(all)
	return all
}

// comeAgain has all devices connect again while they are connected, which no state refuses.
func (u *unending) comeAgain(ctx context.Context) error {
	l := u.life
	refused := func() (n int) {
		for end, times := range l.Crew.Ends() {
			if strings.HasPrefix(end, "refused with") {
				n += times
			}
		}
		return n
	}
	before := refused()
	l.Crew.TakeOver()
	err := l.Await(ctx, 30*time.Second, "all devices to have come again in their own places", func() bool {
		return refused() > before || !l.Crew.Turning() && l.Crew.Left() == 0 && l.Crew.Online() == l.Options.Devices
	})
	if n := refused() - before; n > 0 {
		l.Journal.Break(history.Violation{Promise: history.Shed, Detail: fmt.Sprintf("a node that is overloaded: devices that are connected were refused %d times when they came again", n)})
	}
	return err
}
