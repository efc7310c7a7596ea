package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"go.uber.org/zap"

	"edgeloop/auth"
	"edgeloop/eventloop"
	"edgeloop/gateway"
)

const (
	defaultMaxConnections = 100_000
	refuseReserve         = 256
	// maxMessageLimit is what the log can store of one message, see maxRecord.
	maxMessageLimit = 4 << 20
	// recordRoom is what a record has beside the data: names, topic, numbers.
	recordRoom = 8 << 10
)

// maxRecord is the record that the largest message makes: data that is not JSON
// is kept in base64, a third longer.
func (s *serveCmd) maxRecord() int { return s.MaxMessage*4/3 + recordRoom }

// maxCommand is the largest command as it is sent: within what may wait for one
// device, or it would cut the device off itself, with room for what else is sent.
func (s *serveCmd) maxCommand() int { return s.OutBuffer / 4 * 3 }

// plan checks the settings, one by one, against each other and against the
// machine, before anything is started. Only planDataDir writes to the disk.
func (s *serveCmd) plan(log *zap.Logger) error {
	if err := s.planValues(); err != nil {
		return err
	}
	if err := s.planDescriptors(log); err != nil {
		return err
	}
	if err := s.planDataDir(); err != nil {
		return err
	}
	if _, err := s.openTLS(log); err != nil {
		return err
	}
	if _, err := s.readLists(); err != nil {
		return err
	}
	if err := s.checkFiles(); err != nil {
		return err
	}
	if _, err := s.readCertificates(); err != nil {
		return err
	}
	_, err := s.readTokensFile()
	return err
}

// planValues is the part of plan that looks at nothing but the settings, and
// changes nothing.
func (s *serveCmd) planValues() error {
	for _, step := range []func() error{s.planRanges, s.planTogether, s.planKeys, s.planNames, s.planTLS, s.planDoors, s.planAdmin, s.planGRPC, s.planHealth, s.planMQTTApps, s.planProxies, s.planEvents, s.planSinks, s.planIntake, s.planBoards, s.planQuotas} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// planTogether checks what depends on more than one setting, or on words.
func (s *serveCmd) planTogether() error {
	if s.IdleTimeout <= s.Heartbeat {
		return fmt.Errorf("--idle-timeout=%s must be longer than --heartbeat=%s, or quiet devices are evicted before they are pinged", s.IdleTimeout, s.Heartbeat)
	}
	return checkLogSettings("log-", s.logSettings())
}

func (s *serveCmd) planNames() error {
	for _, origin := range s.AllowedOrigins {
		u, err := url.Parse(origin)
		if origin != gateway.AnyOrigin && (err != nil || u.Host == "" || u.Scheme+"://"+u.Host != strings.ToLower(origin)) {
			return fmt.Errorf("--allowed-origins=%s: give SCHEME://HOST or SCHEME://HOST:PORT, as in https://app.example, without a path, or *", origin)
		}
	}
	if s.Auth == "none" && s.BanFailures > 0 {
		return errors.New("--auth=none does not go with --ban-failures: without authentication nobody fails")
	}
	if s.Auth == "none" && len(s.TokenAudience)+len(s.TokenIssuer) > 0 {
		return errors.New("--auth=none does not go with --token-audience or --token-issuer: tokens would not be checked")
	}
	if slices.Contains(s.TokenAudience, "") || slices.Contains(s.TokenIssuer, "") {
		return errors.New("--token-audience and --token-issuer: a name is empty: give one, or leave the flag out")
	}
	if s.Node != "" {
		if err := auth.CheckName("node", s.Node); err != nil {
			return fmt.Errorf("--node=%s: %w", s.Node, err)
		}
	}
	return s.checkURL(s.NATSURL)
}

// checkListen sees that addr is something to listen on.
func checkListen(flag, addr string) error {
	if _, err := net.ResolveTCPAddr("tcp", addr); err != nil || addr == "" {
		return fmt.Errorf("%s=%s: give host:port with a port of 0 to 65535, for example 127.0.0.1:8080: %w", flag, addr, err)
	}
	return nil
}

// planDescriptors raises the descriptor limit and sees that the connections fit.
func (s *serveCmd) planDescriptors(log *zap.Logger) error {
	soft, hard, err := eventloop.RaiseFDLimit(s.FDLimit)
	if err != nil {
		return fmt.Errorf("--fd-limit=%d: %w", s.FDLimit, err)
	}
	own := s.FDReserve + refuseReserve
	room := int(soft) - own //nolint:gosec // a limit fits
	if s.MaxConnections == 0 {
		s.MaxConnections = min(max(room, 1), defaultMaxConnections)
	}
	if s.MaxConnections <= room {
		log.Info("descriptors", zap.Uint64("soft", soft), zap.Uint64("hard", hard),
			zap.Int("max_connections", s.MaxConnections), zap.Int("reserve", own))
		return nil
	}
	need := s.MaxConnections + own
	if soft < hard && s.FDLimit != 0 {
		return fmt.Errorf("--max-connections=%d needs %d descriptors (%d of them are reserves), --fd-limit=%d allows %d: leave --fd-limit out, or give at least %d",
			s.MaxConnections, need, own, s.FDLimit, soft, need)
	}
	return fmt.Errorf("--max-connections=%d needs %d descriptors (%d of them are reserves), this process may have %d: run 'ulimit -n %d' before (as root), or LimitNOFILE=%d in the systemd unit, or ask for at most --max-connections=%d",
		s.MaxConnections, need, own, hard, need, need, max(0, room))
}

// planDataDir makes the data directory and sees that it can be written to.
func (s *serveCmd) planDataDir() error {
	const how = "give a directory that this user may write to"
	if s.DataDir == "" {
		return errors.New("--data-dir is empty: " + how)
	}
	if err := os.MkdirAll(s.DataDir, 0o750); err != nil {
		return fmt.Errorf("--data-dir=%s: %w: %s", s.DataDir, err, how)
	}
	probe, err := os.CreateTemp(s.DataDir, ".probe-*")
	if err != nil {
		return fmt.Errorf("--data-dir=%s: %w: %s", s.DataDir, err, how)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}
