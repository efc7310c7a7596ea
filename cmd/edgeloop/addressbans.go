package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"go.uber.org/zap"

	"edgeloop/admin/api"
	"edgeloop/doorman"
)

// Bans of addresses that fail to prove who they are, kept over restarts.

const (
	// bansEvery is how often the bans are written down, if they have changed.
	bansEvery = 10 * time.Second
	// maxBansFile is far above what doorman.MaxAccounts take.
	maxBansFile = 8 << 20
)

// addressBansFile is where the bans of addresses are kept.
func addressBansFile(dataDir string) string { return filepath.Join(dataDir, "address-bans.json") }

// openBans makes the bans, with those of the last run.
func (n *node) openBans() {
	if n.cfg.BanFailures == 0 || n.verifier == nil { // with --auth=none nobody fails
		return
	}
	now := time.Now()
	bans := doorman.NewBans(doorman.BanRules{
		Failures: n.cfg.BanFailures, Window: n.cfg.BanWindow, Most: n.cfg.BanMost, Bits6: n.cfg.PrefixBits6,
	}, now)
	all, err := readAddressBans(addressBansFile(n.cfg.DataDir))
	if err != nil {
		n.log.Warn("the bans of addresses were not read, nobody is banned", zap.Error(err))
	}
	bans.Restore(all, now)
	n.entry.bans = bans
}

func readAddressBans(path string) (all []doorman.Ban, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := json.NewDecoder(io.LimitReader(f, maxBansFile)).Decode(&all); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

// keepBans writes down what has changed, now and then and at the end.
func (n *node) keepBans(ctx context.Context) {
	tick := time.NewTicker(bansEvery)
	defer tick.Stop()
	for ended := false; !ended; {
		select {
		case <-ctx.Done():
			ended = true
		case <-tick.C:
		}
		if err := n.writeAddressBans(); err != nil {
			n.log.Warn("the bans of addresses were not written down", zap.Error(err))
		}
	}
}

func (n *node) writeAddressBans() error {
	all, changed := n.entry.bans.Snapshot(time.Now())
	if !changed {
		return nil
	}
	text, err := json.Marshal(all)
	if err != nil {
		return err
	}
	path := addressBansFile(n.cfg.DataDir)
	if err := os.WriteFile(path+".tmp", append(text, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// proof is told by the gateway of each peer whether it could prove who it is. A proxy's own
// address stands for all who come through it, and is never counted.
func (n *node) proof() func(netip.Addr, bool) {
	bans := n.entry.bans
	if bans == nil {
		return nil
	}
	proxies := append(networks("proxy-protocol", n.cfg.ProxyProtocol), networks("trusted-proxies", n.cfg.TrustedProxies)...)
	return func(from netip.Addr, proved bool) {
		from = from.Unmap().WithZone("")
		for _, network := range proxies {
			if network.Contains(from) {
				return
			}
		}
		now := time.Now()
		if proved {
			bans.Succeeded(from, now)
			return
		}
		if length := bans.Failed(from, now); length > 0 {
			n.entry.banned.say(n.log.Logger, time.Since(n.started), "address is kept out, it failed too often to prove who it is", from, zap.Duration("dur", length))
		}
	}
}

// failedTLS is told by the event loops of each peer whose TLS handshake failed by its own
// doing: each cost a worker's time, as a bad token does.
func (n *node) failedTLS() func(netip.Addr) {
	proof := n.proof()
	if proof == nil {
		return nil
	}
	return func(from netip.Addr) { proof(from, false) }
}

// AddressBans implements admin.Bans.
func (a adminBans) AddressBans() []api.AddressBan {
	all := []api.AddressBan{}
	if a.addresses != nil {
		for _, b := range a.addresses.List(time.Now()) {
			all = append(all, api.AddressBan{Address: b.Address, Until: b.Until, Times: b.Times, Failed: b.Failed})
		}
	}
	return all
}

// UnbanAddress implements admin.Bans.
func (a adminBans) UnbanAddress(addr netip.Addr) bool {
	return a.addresses != nil && a.addresses.Lift(addr, time.Now())
}

func (n *node) addressBanMetrics(emit emitter) {
	var st doorman.BanStats
	if n.entry.bans != nil {
		st = n.entry.bans.Stats(time.Now())
	}
	emit("edgeloop_doorman_banned_addresses", float64(st.Banned))
	emit("edgeloop_doorman_watched_addresses", float64(st.Accounts))
	emit("edgeloop_doorman_bans_total", float64(st.Begun))
	emit("edgeloop_doorman_forgotten_addresses_total", float64(st.Forgotten))
}
