package servers

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

// DedupeWindow is how long the server remembers the ID of a batch. It must be longer than a
// batch can be on its way unseen, and costs about 100 B for each batch within it.
const DedupeWindow = 2 * time.Minute

// A Want describes a stream as this node makes it if there is none.
type Want struct {
	Stream jetstream.StreamConfig
	// Apply sets what the operator has chosen and leaves the rest of the stream as it is.
	// nil: all of Stream is chosen, except Replicas.
	Apply func(*jetstream.StreamConfig)
	// Fresh sets what only a new stream gets; nil: nothing.
	Fresh func(*jetstream.StreamConfig) error
}

// Ensure returns the stream that want describes and makes it if there is none. An existing
// stream that only this node uses gets the settings that want names and keeps the others.
// A shared one belongs to all who use it: Ensure leaves it as it is, logs where it differs,
// and returns an error if the node cannot work with it.
func (s *Servers) Ensure(ctx context.Context, want Want) (jetstream.Stream, error) {
	st, err := s.Asker.JS.Stream(ctx, want.Stream.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		st, err = s.makeStream(ctx, want)
	case err != nil:
	case !s.cfg.Shared:
		st, err = s.adaptStream(ctx, st, want)
	default:
		err = s.compareStream(st.CachedInfo().Config, want)
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", want.Stream.Name, err)
	}
	leaderAnswers(st)
	return st, nil
}

// leaderAnswers sends reads to the leader if there are replicas, because the answer of a
// follower may be older than what was confirmed. The stream may still allow direct reads
// for others.
func leaderAnswers(s jetstream.Stream) {
	if have := &s.CachedInfo().Config; have.Replicas > 1 {
		have.AllowDirect = false
	}
}

func (s *Servers) makeStream(ctx context.Context, want Want) (jetstream.Stream, error) {
	if want.Fresh != nil {
		if err := want.Fresh(&want.Stream); err != nil {
			return nil, err
		}
	}
	st, err := s.Asker.JS.CreateStream(ctx, want.Stream)
	if err != nil {
		return nil, err
	}
	if err := lacking(&st.CachedInfo().Config, &want.Stream); err != nil {
		return nil, fmt.Errorf("%w: nats-server 2.12 or newer is needed", err)
	}
	if have := &st.CachedInfo().Config; !s.Here() {
		s.cfg.Logger.Info("stream created", zap.String("stream", have.Name),
			zap.Int("replicas", have.Replicas), zap.Int64("max_bytes", have.MaxBytes), zap.Duration("max_age", have.MaxAge))
		if cluster := s.Asker.NC.ConnectedClusterName(); cluster != "" && have.Replicas == 1 {
			s.cfg.Logger.Warn("a stream of a cluster has one replica and is lost with its server",
				zap.String("stream", have.Name), zap.String("cluster", cluster))
		}
	}
	return st, nil
}

// adaptStream gives the node's own stream the settings of want.
func (s *Servers) adaptStream(ctx context.Context, st jetstream.Stream, w Want) (jetstream.Stream, error) {
	have, want := st.CachedInfo().Config, &w.Stream
	to := have
	to.Subjects, to.Description = want.Subjects, want.Description
	to.MaxMsgsPerSubject, to.AllowDirect = want.MaxMsgsPerSubject, want.AllowDirect
	to.AllowMsgTTL = to.AllowMsgTTL || want.AllowMsgTTL // the server never takes it back
	if w.Apply != nil {
		w.Apply(&to)
	} else {
		to.MaxBytes, to.MaxAge, to.Duplicates = want.MaxBytes, want.MaxAge, want.Duplicates
		to.Discard, to.DiscardNewPerSubject = want.Discard, want.DiscardNewPerSubject
	}
	return s.Asker.JS.UpdateStream(ctx, to)
}

// compareStream notes where a shared stream differs from what this node would make.
func (s *Servers) compareStream(have jetstream.StreamConfig, w Want) error {
	want := w.Stream
	if err := lacking(&have, &want); err != nil {
		return fmt.Errorf("%w: let 'nats stream edit' set it, or remove the stream", err)
	}
	if w.Apply != nil {
		want = have
		w.Apply(&want)
	} else {
		want.Replicas = have.Replicas
	}
	for _, d := range differences(&have, &want) {
		s.mu.Lock()
		s.differences = append(s.differences, d)
		s.mu.Unlock()
		s.cfg.Logger.Warn("a shared stream differs from this node's flags and stays as it is",
			zap.String("stream", d.Stream), zap.String("setting", d.Setting), zap.String("has", d.Has), zap.String("flags", d.Flags))
	}
	return nil
}

// Info asks for the state of a stream. The Info of a jetstream.Stream itself would undo what
// leaderAnswers has set.
func (s *Servers) Info(ctx context.Context, stream string, opts ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	st, err := s.Asker.JS.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	if len(opts) == 0 {
		return st.CachedInfo(), nil // of this moment
	}
	return st.Info(ctx, opts...)
}

// Remake makes a shared stream that has vanished again, empty, with the settings that it had
// when this node found it.
func (s *Servers) Remake(ctx context.Context, was jetstream.StreamConfig) (jetstream.Stream, error) {
	st, err := s.Asker.JS.Stream(ctx, was.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		s.cfg.Logger.Error("the stream of the log is gone with all its records, creating it again with its old settings",
			zap.String("stream", was.Name), zap.Int("replicas", was.Replicas), zap.Int64("max_bytes", was.MaxBytes))
		st, err = s.Asker.JS.CreateStream(ctx, was)
	}
	if err != nil {
		return nil, fmt.Errorf("stream %s: %w", was.Name, err)
	}
	leaderAnswers(st)
	return st, nil
}

// A Difference is a setting of a shared stream that differs from this node's flags.
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
	{"when-full", whenFullText},
	{"replicas", func(s *jetstream.StreamConfig) string { return strconv.Itoa(max(s.Replicas, 1)) }},
	{"max-msgs-per-subject", func(s *jetstream.StreamConfig) string { return sizeText(s.MaxMsgsPerSubject) }},
	{"duplicate-window", func(s *jetstream.StreamConfig) string {
		if s.Duplicates == 0 {
			return DedupeWindow.String() // the server's own default
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

// lacking returns an error that names what a stream lacks and the node cannot do without.
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

func sizeText(n int64) string {
	if n <= 0 {
		return "none"
	}
	return strconv.FormatInt(n, 10)
}

func ageText(d time.Duration) string {
	if d <= 0 {
		return "none"
	}
	return d.String()
}

func whenFullText(s *jetstream.StreamConfig) string {
	if s.Discard == jetstream.DiscardNew {
		return "stop"
	}
	return "drop-oldest"
}
