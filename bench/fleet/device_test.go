package fleet_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/golang-jwt/jwt/v5"

	"edgeloop/bench/fleet"
	"edgeloop/bench/fleettest"
)

func telemetry(t *testing.T, node *fleettest.Node, cfg fleet.Config) *fleet.Fleet {
	t.Helper()
	cfg.URL = fleettest.Serve(t, node.Handle) + "v1/device"
	cfg.Dialect = "json"
	f := start(t, cfg)
	connect(t, f, int64(cfg.Count))
	do(t, f, fleet.Order{Verb: fleet.Load, Kind: fleet.TelemetryLoad, InFlight: 16})
	return f
}

// Saturated telemetry: a window of messages is always under way, and the acks
// of an honest node settle all of it.
func TestFleet_TelemetryAgainstASoundNode(t *testing.T) {
	node := &fleettest.Node{AckEvery: 4}
	f := telemetry(t, node, fleet.Config{Count: 5, Loops: 2})
	until(t, f, "acks", func(c fleet.Counts) bool { return c[fleet.Acked] > 2000 })
	do(t, f, fleet.Order{Verb: fleet.Quiet})
	c := until(t, f, "quiet", func(c fleet.Counts) bool { return c.Outstanding() < 5*4 })
	if c.Unsound() != 0 || node.Gaps() != 0 {
		t.Errorf("an honest node looks unsound: %v, gaps %d", c, node.Gaps())
	}
	s, err := f.Snapshot(true)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := s.Histograms[fleet.RoundTrip].TotalCount(), s.Counts[fleet.Acked]; got != want {
		t.Errorf("ack latencies recorded: %d, want %d", got, want)
	}
}

func TestFleet_NoticesAFaultyNode(t *testing.T) {
	for name, tc := range map[string]struct {
		node *fleettest.Node
		want fleet.Count
	}{
		"acks repeated":           {&fleettest.Node{AckTwice: true}, fleet.Duplicated},
		"acks beyond what exists": {&fleettest.Node{AckBeyond: true}, fleet.Corrupted},
	} {
		t.Run(name, func(t *testing.T) {
			f := telemetry(t, tc.node, fleet.Config{Count: 2})
			until(t, f, name, func(c fleet.Counts) bool { return c[tc.want] > 1 })
		})
	}
	t.Run("nothing acknowledged is lost once settled", func(t *testing.T) {
		f := telemetry(t, &fleettest.Node{NeverAck: true}, fleet.Config{Count: 2})
		until(t, f, "window", func(c fleet.Counts) bool { return c[fleet.Sent] == 32 })
		do(t, f, fleet.Order{Verb: fleet.Settle})
		if c := until(t, f, "settled", func(c fleet.Counts) bool { return c.Outstanding() == 0 }); c[fleet.Lost] != 32 {
			t.Errorf("lost %d, want 32", c[fleet.Lost])
		}
	})
}

// The node cuts every connection in mid-stream. The devices come back, are told
// what is durable, send the rest again and go on: no gap at the node, nothing lost.
func TestFleet_ResumesWhereTheNodeStands(t *testing.T) {
	node := &fleettest.Node{CutAfter: 100, AckEvery: 3}
	f := telemetry(t, node, fleet.Config{Count: 3, Backoff: 64 * time.Millisecond})
	c := until(t, f, "resume", func(c fleet.Counts) bool { return c[fleet.Registered] == 6 && c[fleet.Acked] > 1000 })
	if c[fleet.Resent] == 0 {
		t.Error("nothing was sent again")
	}
	if c.Unsound() != 0 || node.Gaps() != 0 {
		t.Errorf("resume looks unsound: %v, gaps %d", c, node.Gaps())
	}
}

// What a device sends again may be durable by then, and the node says so again:
// that is no fault. Nor does it excuse one that repeats itself unasked.
func TestFleet_AcksOfWhatWasSentAgain(t *testing.T) {
	for _, tc := range []struct {
		name    string
		each    int // acks for each message that was sent again
		unasked int // and more of one that was not
		want    int64
	}{{"asked", 1, 0, 0}, {"unasked", 1, 3, 3}, {"more than were sent again", 2, 0, 15}} {
		t.Run(tc.name, func(t *testing.T) {
			lives := make(chan int, 2)
			lives <- 1
			lives <- 2
			url := fleettest.Serve(t, func(p *fleettest.Peer) {
				life := <-lives
				_ = p.Send(ws.OpText, []byte(`{"type":"welcome","epoch":1,"upto":0,"heartbeat_s":30,"window":64}`))
				ack := func(upto int) { _ = p.Send(ws.OpText, fmt.Appendf(nil, `{"type":"ack","upto":%d}`, upto)) }
				for i := 0; ; i++ {
					if _, _, err := p.Next(); err != nil || life == 1 && i == 15 {
						return
					}
					if life == 2 && i < 16 { // all of the first life are durable by now
						for range tc.each {
							ack(16)
						}
					} else if life == 2 {
						for range 1 + tc.unasked {
							ack(i + 1)
						}
						tc.unasked = 0
					}
				}
			})
			f := start(t, fleet.Config{URL: url + "v1/device", Dialect: "json", Count: 1, Backoff: 64 * time.Millisecond})
			connect(t, f, 1)
			do(t, f, fleet.Order{Verb: fleet.Load, Kind: fleet.TelemetryLoad, InFlight: 16})
			c := until(t, f, "acks", func(c fleet.Counts) bool { return c[fleet.Acked] > 100 })
			if c[fleet.Resent] != 16 || c[fleet.Duplicated] != tc.want {
				t.Errorf("sent again %d, want 16; duplicated %d, want %d", c[fleet.Resent], c[fleet.Duplicated], tc.want)
			}
		})
	}
}

// A device that is cut off after the load has ended still sends again what was
// not acknowledged: else the fleet itself would lose it.
func TestFleet_ResumesAfterTheLoad(t *testing.T) {
	node, cut := &fleettest.Node{}, make(chan struct{})
	url := fleettest.Serve(t, func(p *fleettest.Peer) {
		select {
		case <-cut:
			node.Handle(p)
			return
		default:
		}
		_ = p.Send(ws.OpText, []byte(`{"type":"welcome","epoch":1,"upto":0,"heartbeat_s":30,"window":64}`))
		for range 16 {
			if _, _, err := p.Next(); err != nil {
				return
			}
		}
		<-cut
	})
	f := start(t, fleet.Config{URL: url + "v1/device", Dialect: "json", Count: 1})
	connect(t, f, 1)
	do(t, f, fleet.Order{Verb: fleet.Load, Kind: fleet.TelemetryLoad, InFlight: 16})
	until(t, f, "window", func(c fleet.Counts) bool { return c[fleet.Sent] == 16 })
	do(t, f, fleet.Order{Verb: fleet.Quiet})
	close(cut)
	c := until(t, f, "acks", func(c fleet.Counts) bool { return c[fleet.Acked] == 16 })
	if c[fleet.Resent] != 16 || c[fleet.Sent] != 16 || c.Unsound() != 0 || node.Gaps() != 0 {
		t.Errorf("sent again %d, sent %d, want 16 each; %v", c[fleet.Resent], c[fleet.Sent], c)
	}
}

func TestFleet_NoticesANodeThatForgets(t *testing.T) {
	node := &fleettest.Node{CutAfter: 100, Forget: 5}
	f := telemetry(t, node, fleet.Config{Count: 3, Backoff: 64 * time.Millisecond})
	until(t, f, "forgotten", func(c fleet.Counts) bool { return c[fleet.RolledBack] >= 3 })
}

// Commands are answered by id; numbered broadcasts are counted and a missing
// or repeated number is noticed.
func TestFleet_AnswersCommandsAndCountsBroadcasts(t *testing.T) {
	node := &fleettest.Node{Greeting: []string{
		`{"type":"command","id":"c1","name":"ping","data":{}}`,
		`{"type":"command","name":"b","data":{"n":1,"at":1}}`,
		`{"type":"command","name":"b","data":{"n":2,"at":1}}`,
		`{"type":"command","name":"b","data":{"n":2,"at":1}}`,
		`{"type":"command","name":"b","data":{"n":5,"at":1}}`,
		`{ "data": {"n":6,"at":1}, "type" : "command" }`,
		`{"type":"error","code":"bad_envelope","message":"no"}`,
	}}
	f := telemetry(t, node, fleet.Config{Count: 1})
	c := until(t, f, "greeting", func(c fleet.Counts) bool { return c[fleet.Faults] == 1 })
	for k, want := range map[fleet.Count]int64{
		fleet.Commands: 6, fleet.Broadcasts: 4, fleet.BroadcastsMissed: 2, fleet.BroadcastsDoubled: 1,
	} {
		if c[k] != want {
			t.Errorf("%s = %d, want %d", k, c[k], want)
		}
	}
	until(t, f, "reply", func(fleet.Counts) bool { return len(node.Replies()) == 1 })
	if node.Replies()[0] != "c1" {
		t.Errorf("replies %v", node.Replies())
	}
}

// The token is one that the usual library accepts.
func TestFleet_SignsTokens(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	tokens := make(chan string, 1)
	url := fleettest.Serve(t, func(p *fleettest.Peer) {
		tokens <- p.Token
		_, _, _ = p.Next()
	})
	f := start(t, fleet.Config{URL: url + "v1/device", First: 41, Count: 1, Secret: secret, Tenant: `o"dd`})
	connect(t, f, 1)
	raw, ok := strings.CutPrefix(<-tokens, "Bearer ")
	if !ok {
		t.Fatal("no bearer token")
	}
	claims := jwt.MapClaims{}
	if _, err := jwt.ParseWithClaims(raw, claims, func(*jwt.Token) (any, error) { return secret, nil }, jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired()); err != nil {
		t.Fatal(err)
	}
	if claims["sub"] != "bench-0000041" || claims["tenant"] != `o"dd` {
		t.Errorf("claims %v", claims)
	}
}

// All devices drop and come back.
func TestFleet_DropAndReturn(t *testing.T) {
	for _, how := range []string{fleet.CloseFrame, fleet.FIN, fleet.RST} {
		t.Run(how, func(t *testing.T) {
			url := fleettest.Serve(t, fleettest.Echo(fleettest.Sound, 1))
			f := start(t, fleet.Config{URL: url, Count: 20, Loops: 2})
			connect(t, f, 20)
			do(t, f, fleet.Order{Verb: fleet.Drop, From: 5, How: how, Return: true, Spread: 20 * time.Millisecond})
			c := until(t, f, "return", func(c fleet.Counts) bool { return c[fleet.Registered] == 35 && c[fleet.Ready] == 20 })
			if c[fleet.Dropped] != 15 || c[fleet.Failed] != 0 {
				t.Errorf("dropped %d, failed %d; want 15, 0", c[fleet.Dropped], c[fleet.Failed])
			}
			s, err := f.Snapshot(true)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.Histograms[fleet.Absence].TotalCount(); got != 15 {
				t.Errorf("absences recorded: %d, want 15", got)
			}
		})
	}
}

// With one dial each 10 ms the last of ten is away for ten of them, though its own
// handshake takes no longer than the first's.
func TestFleet_AbsenceHoldsTheWaitForATurn(t *testing.T) {
	url := fleettest.Serve(t, fleettest.Echo(fleettest.Sound, 1))
	f := start(t, fleet.Config{URL: url, Count: 10})
	connect(t, f, 10)
	do(t, f, fleet.Order{Verb: fleet.Reset})
	do(t, f, fleet.Order{Verb: fleet.Drop, How: fleet.RST, Return: true, InFlight: 1, Rate: 100})
	until(t, f, "return", func(c fleet.Counts) bool { return c[fleet.Registered] == 20 })
	s, err := f.Snapshot(true)
	if err != nil {
		t.Fatal(err)
	}
	if top := time.Duration(s.Histograms[fleet.Absence].Max()); top < 80*time.Millisecond {
		t.Errorf("the longest absence is %v: nine waited for one dial each 10 ms", top)
	}
}

// Churn ends connections at its rate and dials again.
func TestFleet_Churn(t *testing.T) {
	url := fleettest.Serve(t, fleettest.Echo(fleettest.Sound, 1))
	f := start(t, fleet.Config{URL: url, Count: 4})
	connect(t, f, 4)
	do(t, f, fleet.Order{Verb: fleet.Load, Kind: fleet.ChurnLoad, Rate: 400, How: fleet.RST})
	until(t, f, "churn", func(c fleet.Counts) bool { return c[fleet.Registered] > 40 })
}

// A device that was told to stall reads nothing until it may again.
func TestFleet_StallAndResume(t *testing.T) {
	url := fleettest.Serve(t, fleettest.Echo(fleettest.Sound, 1))
	f := start(t, fleet.Config{URL: url, Count: 4, MessageTimeout: time.Minute})
	connect(t, f, 4)
	do(t, f, fleet.Order{Verb: fleet.Stall, To: 2})
	do(t, f, fleet.Order{Verb: fleet.Load, Kind: fleet.EchoLoad, InFlight: 3})
	until(t, f, "others", func(c fleet.Counts) bool { return c[fleet.Received] > 200 })
	do(t, f, fleet.Order{Verb: fleet.Quiet})
	until(t, f, "only the stalled are behind", func(c fleet.Counts) bool { return c.Outstanding() == 6 })
	do(t, f, fleet.Order{Verb: fleet.Resume})
	until(t, f, "all came back", func(c fleet.Counts) bool { return c.Outstanding() == 0 })
}
