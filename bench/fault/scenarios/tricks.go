package scenarios

import (
	"context"
	"path/filepath"

	"edgeloop/bench/fault/life"
	"edgeloop/bench/fault/node"
	"edgeloop/bench/fault/tricks"
)

// Attacks are a scenario for each area of tricks: every trick of it, one after another, against
// one node with all doors open. Those about records of TLS are tried with either kind.
func Attacks() (all []life.Scenario) {
	for _, area := range tricks.Areas() {
		all = append(all, attackOn(area, area, "own"))
		if area == "tls" {
			all = append(all, attackOn("tls-std", area, "std"))
		}
	}
	return all
}

func attackOn(name, area, records string) life.Scenario {
	return life.Scenario{
		Name: "attack-" + name, About: "each trick of the area " + area + ", beside devices that must not feel it", Open: true,
		Devices: life.Controls, Pace: life.ControlPace, Control: true,
		Setup: func(_ context.Context, l *life.Life) error { return setupTricks(l, records, area == "tls") },
		Act: func(ctx context.Context, l *life.Life) error {
			for _, t := range tricks.Of(area) {
				if records == "std" && !t.Records {
					continue
				}
				if err := l.Suffer(ctx, t); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// setupTricks opens all doors of the node.
func setupTricks(l *life.Life, records string, overTLS bool) error {
	free, err := node.FreeAddrs(2 + tricks.Addresses)
	if err != nil {
		return err
	}
	addrs := append([]string{l.Node.Listen, l.Node.Admin}, free[2:]...)
	doors, flags, err := tricks.Fit(filepath.Join(filepath.Dir(l.Node.Dir), "doors"), addrs, records)
	if err != nil {
		return err
	}
	l.Doors, l.Token = doors, doors.Token
	l.Node.Flags = append(l.Node.Flags, flags...)
	if overTLS {
		l.TLS, err = doors.Trust()
	}
	return err
}
