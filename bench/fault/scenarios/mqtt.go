package scenarios

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"edgeloop/bench/fault/crew"
	"edgeloop/bench/fault/history"
	"edgeloop/bench/fault/life"
	"edgeloop/bench/fault/node"
	"edgeloop/internal/pause"
)

// publishers is how many devices speak MQTT in the scenario mqtt.
const publishers = 64

// mqttDown is what the scenario mqtt keeps.
type mqttDown struct {
	at    string // where the node speaks MQTT
	disks int
	crew  *crew.Publishers

	mu sync.Mutex
	// Guarded by mu.
	given map[string]string // by name of a command that the node has taken: its device
	tried int
}

// mqttScenario has devices that speak MQTT at a node that is hurt in every way: what they send
// with QoS 1 and 2, and what they get with QoS 1.
func mqttScenario() life.Scenario {
	m := &mqttDown{}
	return life.Scenario{
		Name: "mqtt", About: "devices with QoS 1 and 2, and commands with QoS 1, through kill -9, power cuts, a full disk, SIGSTOP, drains, takeovers (an ext4 image; needs root)",
		Devices: 20, Pace: 20 * ms, Flags: []string{"--free-takeovers=1000000", "--log-max-bytes=none"}, Setup: m.setup, Act: m.act,
	}
}

func (m *mqttDown) setup(ctx context.Context, l *life.Life) error {
	m.begin()
	addrs, err := node.FreeAddrs(3) // the node has the first two
	if err != nil {
		return err
	}
	m.at = addrs[2]
	l.Node.Flags = append(l.Node.Flags, "--mqtt-listen="+m.at)
	return setupPower(ctx, l)
}

// begin forgets the life before: its devices, and what was given to them, are gone.
func (m *mqttDown) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.disks, m.given, m.tried = 0, map[string]string{}, 0
}

// act hurts the node while they stream, and then holds the log against what they were told.
func (m *mqttDown) act(ctx context.Context, l *life.Life) error {
	m.crew = crew.StartPublishers(ctx, m.at, publishers, 15*time.Second, l.Options.Seed, l.Journal)
	l.Publishers = m.crew
	giving, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { m.give(giving, l) })
	err := m.hurt(ctx, l)
	stop()
	wg.Wait()
	if err != nil {
		return err
	}
	m.crew.Produce(false)
	if err := l.Await(ctx, life.SettleLimit, "all publishers to be connected and answered", m.crew.Settled); err != nil {
		return err
	}
	if err := m.collect(ctx, l); err != nil {
		return err
	}
	m.crew.Stop()
	if err := l.Node.Tail(ctx, m.crew.Line); err != nil {
		return fmt.Errorf("read the log back: %w", err)
	}
	m.crew.Finish()
	return l.Rebase()
}

// hurt does what is to be done to the node, in turn.
func (m *mqttDown) hurt(ctx context.Context, l *life.Life) error {
	turns := []func(context.Context, *life.Life) error{m.kills, m.takeover, m.kills, m.power, m.kills, m.full, m.kills, m.stop, m.kills, m.drain}
	for i := range l.Options.Rounds {
		if err := turns[i%len(turns)](ctx, l); err != nil {
			return err
		}
		if err := l.Boot(ctx); err != nil {
			return err
		}
		if err := l.Await(ctx, 60*time.Second, "all publishers to come back", func() bool { return m.crew.Online() == publishers }); err != nil {
			return err
		}
		_, before := m.crew.Totals()
		if err := l.Await(ctx, 60*time.Second, "publishers to go on", func() bool {
			_, now := m.crew.Totals()
			return now > before+publishers*32
		}); err != nil {
			return err
		}
	}
	return nil
}

// kills is three at a time, at any of the moments that the scenario kill has.
func (m *mqttDown) kills(ctx context.Context, l *life.Life) error {
	moments := KillMoments()
	for i := range 3 {
		if i > 0 {
			if err := l.Boot(ctx); err != nil {
				return err
			}
		}
		if err := l.Load(ctx); err != nil { // so that they are back, or on the way
			return err
		}
		at := moments[l.Rng.IntN(len(moments))]
		if at.Name == "in a takeover" {
			m.crew.TakeOver()
		}
		if err := at.Hit(ctx, l); err != nil {
			return err
		}
	}
	return nil
}

func (m *mqttDown) takeover(ctx context.Context, l *life.Life) error {
	l.Journal.Inject("all publishers connect a second time, ten times")
	for range 10 {
		m.crew.TakeOver()
		if err := pause.For(ctx, l.UpTo(400*ms)); err != nil {
			return err
		}
	}
	l.Result.Faults++
	return nil
}

func (m *mqttDown) power(ctx context.Context, l *life.Life) error {
	if err := l.Load(ctx); err != nil {
		return err
	}
	l.Journal.Inject("the power is cut")
	l.Node.Signal(syscall.SIGSTOP)
	if err := pause.For(ctx, 50*ms); err != nil { // a sync under way ends, its answer is not sent
		return err
	}
	m.disks++
	return cutPower(l.Image, l, fmt.Sprintf("%s.%d", filepath.Join(filepath.Dir(l.Node.Dir), "disk"), m.disks))
}

func (m *mqttDown) full(ctx context.Context, l *life.Life) error {
	filler := filepath.Join(l.Node.Dir, "filler")
	l.Journal.Inject("the disk is full")
	if err := fill(filler); err != nil {
		return err
	}
	l.Result.Faults++
	if err := pause.For(ctx, time.Second+l.UpTo(time.Second)); err != nil {
		return err
	}
	if l.Rng.IntN(2) == 0 {
		l.Kill("on the full disk")
	}
	if err := os.Remove(filler); err != nil {
		return err
	}
	l.Journal.Inject("there is room again")
	return nil
}

func (m *mqttDown) stop(ctx context.Context, l *life.Life) error {
	frozen := l.UpTo(3 * time.Second)
	l.Journal.Inject("SIGSTOP for %s", frozen.Round(time.Millisecond))
	l.Node.Signal(syscall.SIGSTOP)
	err := pause.For(ctx, frozen)
	l.Node.Signal(syscall.SIGCONT)
	l.Result.Faults++
	return err
}

func (m *mqttDown) drain(ctx context.Context, l *life.Life) error {
	l.Journal.Inject("SIGTERM")
	l.End(l.Node)
	l.Result.Faults++
	return ctx.Err()
}

// mostGiven bounds the commands: a device may have 1,000 that wait.
const mostGiven = 400 * publishers

// give gives commands, to one device after the other, until ctx ends.
func (m *mqttDown) give(ctx context.Context, l *life.Life) {
	names := m.crew.Names()
	for n := 0; n < mostGiven && pause.For(ctx, 20*ms) == nil; n++ {
		device, name := names[n%len(names)], fmt.Sprintf("k%d", n)
		status, _, err := l.Node.Call(ctx, "POST", "/v1/devices/default/"+device+"/commands", map[string]any{"name": name, "ttl": "1h"})
		m.mu.Lock()
		if m.tried++; err == nil && status == http.StatusAccepted {
			m.given[name] = device
		}
		m.mu.Unlock()
	}
}

// collect waits until each command that the node has taken is confirmed by its device.
func (m *mqttDown) collect(ctx context.Context, l *life.Life) error {
	missing := func() (some string) {
		m.mu.Lock()
		defer m.mu.Unlock()
		for name, device := range m.given {
			if !m.crew.Confirmed(device, name) {
				return name + " of " + device
			}
		}
		return ""
	}
	for deadline := time.Now().Add(time.Minute); missing() != "" && time.Now().Before(deadline); {
		m.crew.TakeOver() // some are not confirmed, and hold the others up
		if err := pause.For(ctx, 500*ms); err != nil {
			return err
		}
	}
	if some := missing(); some != "" {
		l.Journal.Break(history.Violation{Promise: history.Command, Detail: "the command " + some + " has not come, or not again to who has not confirmed it"})
	}
	sent, acked := m.crew.Totals()
	l.Note("%d publishers: sent %d, acknowledged %d; commands taken %d of %d, %d of them came again", publishers, sent, acked, len(m.given), m.tried, m.crew.Doubles())
	return l.Await(ctx, life.SettleLimit, "old connections of publishers to end", m.crew.Settled)
}
