package backbone

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// Names of the streams, for whoever looks at the store with NATS' own tools.
const (
	StreamUp       = "EDGELOOP_UP"
	StreamDown     = "EDGELOOP_DOWN"
	StreamPresence = "EDGELOOP_PRESENCE"
	StreamBans     = "EDGELOOP_BANS"
)

// dedupeWindow is how long the server remembers the ID of a batch. It must be
// longer than a batch can stay under way unseen, and costs about 100 B for each
// batch within it.
const dedupeWindow = 2 * time.Minute

// logStream is the durable log as this node makes it where there is none. What only
// an external server needs (atomic.go) is the duplicate window, the atomic batches,
// and the rollup for the mark.
func logStream(c *Config) jetstream.StreamConfig {
	s := jetstream.StreamConfig{
		Name:               StreamUp,
		Description:        "what devices sent, in order",
		Subjects:           []string{upPrefix + ">", syncPrefix + ">"},
		Storage:            jetstream.FileStorage,
		Discard:            jetstream.DiscardOld,
		Duplicates:         dedupeWindow,
		AllowAtomicPublish: c.NATSURL != "",
		AllowRollup:        c.NATSURL != "",
		AllowDirect:        true,
	}
	c.applyTo(&s)
	return s
}

// ensureStreams makes and compares all four.
func (b *Backbone) ensureStreams(ctx context.Context) (err error) {
	for _, s := range []struct {
		to   *jetstream.Stream
		want jetstream.StreamConfig
	}{
		{&b.up, logStream(&b.cfg)},
		{&b.down, downStream(&b.cfg)},
		{&b.presences, presenceStream(&b.cfg)},
		{&b.banned, banStream(&b.cfg)},
	} {
		if *s.to, err = b.ensureStream(ctx, s.want); err != nil {
			return err
		}
	}
	b.logWas = b.up.CachedInfo().Config
	// What waits longer than the store keeps it is not promised to wait.
	if most := b.down.CachedInfo().Config.MaxAge; most > 0 {
		b.cfg.CommandMaxAge = min(b.cfg.CommandMaxAge, most)
	}
	b.sync = b.askSync(ctx)
	return nil
}

// ensureStream gives the stream that want describes. Where there is none it is made.
// One that is there and that only this node uses gets what want says, and keeps what
// want does not speak of. A shared one belongs to all who use it: it stays as it is,
// what is different is said, and it is an error when the node cannot work with it.
func (b *Backbone) ensureStream(ctx context.Context, want jetstream.StreamConfig) (jetstream.Stream, error) {
	js := b.asker.js
	s, err := js.Stream(ctx, want.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		s, err = b.makeStream(ctx, want)
	case err != nil:
	case b.server != nil:
		s, err = b.adaptStream(ctx, s, want)
	default:
		err = b.compareStream(s.CachedInfo().Config, want)
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", want.Name, err)
	}
	leaderAnswers(s)
	return s, nil
}

// leaderAnswers has reads go to the leader where there are replicas: a follower's
// answer may be older than what was confirmed. The stream may well allow them for
// others.
func leaderAnswers(s jetstream.Stream) {
	if have := &s.CachedInfo().Config; have.Replicas > 1 {
		have.AllowDirect = false
	}
}

func (b *Backbone) makeStream(ctx context.Context, want jetstream.StreamConfig) (jetstream.Stream, error) {
	if want.Name == StreamUp && b.server != nil && want.MaxBytes == 0 {
		share, err := defaultMaxBytes(b.cfg.DataDir)
		if err != nil {
			return nil, err
		}
		want.MaxBytes = share
	}
	s, err := b.asker.js.CreateStream(ctx, want)
	if err != nil {
		return nil, err
	}
	if err := lacking(&s.CachedInfo().Config, &want); err != nil {
		return nil, fmt.Errorf("%w: nats-server 2.12 or newer is needed", err)
	}
	if have := &s.CachedInfo().Config; b.server == nil {
		b.cfg.Logger.Info("stream made, there was none", zap.String("stream", have.Name),
			zap.Int("replicas", have.Replicas), zap.Int64("max_bytes", have.MaxBytes), zap.Duration("max_age", have.MaxAge))
		if cluster := b.asker.nc.ConnectedClusterName(); cluster != "" && have.Replicas == 1 {
			b.cfg.Logger.Warn("a stream of a cluster has one replica, and is lost with its server",
				zap.String("stream", have.Name), zap.String("cluster", cluster))
		}
	}
	return s, nil
}

// adaptStream gives the node's own stream what want says.
func (b *Backbone) adaptStream(ctx context.Context, s jetstream.Stream, want jetstream.StreamConfig) (jetstream.Stream, error) {
	have := s.CachedInfo().Config
	to := have
	to.Subjects, to.Description = want.Subjects, want.Description
	to.MaxMsgsPerSubject, to.AllowDirect = want.MaxMsgsPerSubject, want.AllowDirect
	to.AllowMsgTTL = to.AllowMsgTTL || want.AllowMsgTTL // the server never takes it back
	if want.Name == StreamUp {
		b.cfg.applyTo(&to)
	} else {
		to.MaxBytes, to.MaxAge, to.Duplicates = want.MaxBytes, want.MaxAge, want.Duplicates
		to.Discard, to.DiscardNewPerSubject = want.Discard, want.DiscardNewPerSubject
	}
	return b.asker.js.UpdateStream(ctx, to)
}

// compareStream notes where a shared stream differs from what this node would make.
func (b *Backbone) compareStream(have, want jetstream.StreamConfig) error {
	if err := lacking(&have, &want); err != nil {
		return fmt.Errorf("%w: let 'nats stream edit' set it, or remove the stream", err)
	}
	if want.Name == StreamUp { // what nobody has chosen is the log's own affair
		chosen := have
		b.cfg.applyTo(&chosen)
		want = chosen
	} else {
		want.Replicas = have.Replicas
	}
	for _, d := range differences(&have, &want) {
		b.differences = append(b.differences, d)
		b.cfg.Logger.Warn("a shared stream is not what this node's flags say, and stays as it is",
			zap.String("stream", d.Stream), zap.String("setting", d.Setting), zap.String("has", d.Has), zap.String("flags", d.Flags))
	}
	return nil
}

// remakeLog makes the shared log again as it was when this node found it; nothing of
// it is there any more.
func (b *Backbone) remakeLog(ctx context.Context) (jetstream.Stream, error) {
	s, err := b.asker.js.Stream(ctx, StreamUp)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		b.cfg.Logger.Error("the stream of the log is gone, with all that was in it; it is made again as it was",
			zap.String("stream", StreamUp), zap.Int("replicas", b.logWas.Replicas), zap.Int64("max_bytes", b.logWas.MaxBytes))
		s, err = b.asker.js.CreateStream(ctx, b.logWas)
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", StreamUp, err)
	}
	leaderAnswers(s)
	return s, nil
}

// A Difference is a setting of a shared stream that is not what this node's flags say.
type Difference struct {
	Stream, Setting, Has, Flags string
}

// streamTraits are the settings that are compared; never written.
var streamTraits = []struct {
	name string
	show func(*jetstream.StreamConfig) string
}{
	{"storage", func(s *jetstream.StreamConfig) string { return s.Storage.String() }},
	{"max-bytes", func(s *jetstream.StreamConfig) string { return sizeText(s.MaxBytes) }},
	{"max-age", func(s *jetstream.StreamConfig) string { return ageText(s.MaxAge) }},
	{"when-full", func(s *jetstream.StreamConfig) string { return whenFullOf(s).String() }},
	{"replicas", func(s *jetstream.StreamConfig) string { return strconv.Itoa(max(s.Replicas, 1)) }},
	{"max-msgs-per-subject", func(s *jetstream.StreamConfig) string { return sizeText(s.MaxMsgsPerSubject) }},
	{"duplicate-window", func(s *jetstream.StreamConfig) string {
		if s.Duplicates == 0 {
			return dedupeWindow.String() // the server's own default
		}
		return s.Duplicates.String()
	}},
}

// differences compares two descriptions of one stream.
func differences(have, want *jetstream.StreamConfig) (out []Difference) {
	for _, t := range streamTraits {
		if h, w := t.show(have), t.show(want); h != w {
			out = append(out, Difference{have.Name, t.name, h, w})
		}
	}
	return out
}

// lacking says what a stream does not have that the node cannot work without.
func lacking(have, want *jetstream.StreamConfig) error {
	var names []string
	for _, n := range []struct {
		name       string
		have, want bool
	}{
		{"atomic batches (allow_atomic)", have.AllowAtomicPublish, want.AllowAtomicPublish},
		{"rollups (allow_rollup_hdrs)", have.AllowRollup, want.AllowRollup},
		{"times to live (allow_msg_ttl)", have.AllowMsgTTL, want.AllowMsgTTL},
		{"a bound for each device (discard_new_per_subject)", have.DiscardNewPerSubject, want.DiscardNewPerSubject},
		{"one message for each subject (max_msgs_per_subject)", have.MaxMsgsPerSubject == 1, want.MaxMsgsPerSubject == 1},
	} {
		if n.want && !n.have {
			names = append(names, n.name)
		}
	}
	for _, subject := range want.Subjects {
		if !slices.Contains(have.Subjects, subject) {
			names = append(names, "the subject "+subject)
		}
	}
	if names == nil {
		return nil
	}
	return fmt.Errorf("it lacks %s", strings.Join(names, ", "))
}
