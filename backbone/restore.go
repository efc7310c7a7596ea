package backbone

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"edgeloop/backbone/archive"
	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
	"edgeloop/backbone/uplog"
)

// Restored is what a restored log is.
type Restored struct {
	From        *archive.Manifest
	Log         string // its new identity
	First, Last uint64 // positions there are, the same as before
	Records     uint64

	held archive.Held // in the backup's log
}

// unfinished is in a data directory while a backup is being restored to it.
const unfinished = "restore.unfinished"

// ErrUnfinished says that a restore ended before its time.
var ErrUnfinished = errors.New("backbone: a restore to this data directory was not finished: remove the directory, and restore again")

// whole returns ErrUnfinished if the data directory is not.
func (c *Config) whole() error {
	if c.NATSURL != "" || c.restoring {
		return nil
	}
	if _, err := os.Stat(filepath.Join(c.DataDir, unfinished)); err == nil {
		return fmt.Errorf("%w: %s", ErrUnfinished, c.DataDir)
	}
	return nil
}

// CheckBackup reads a whole backup and returns what it is. An *archive.Error says what is wrong
// with it.
func CheckBackup(from io.Reader) (*archive.Manifest, error) {
	m, _, err := archive.Check(from, names.StreamUp)
	return m, err
}

// BackupError says why something is not a backup, or not a whole one.
type BackupError = archive.Error

// RestoreBackup makes the embedded log under c.DataDir, which must be empty or missing, of a
// backup. It reads the backup twice: all of it is checked before anything is made. The log gets a
// new identity, because positions behind its end are given out again; the places of sinks are
// kept, as places of the new one. If it fails, the directory is left as it is, and no node
// starts on it.
func RestoreBackup(ctx context.Context, c Config, from io.ReadSeeker) (*Restored, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	m, held, err := archive.Check(from, names.StreamUp)
	if err != nil {
		return nil, err
	}
	if err := emptyDir(c.DataDir); err != nil {
		return nil, err
	}
	mark := filepath.Join(c.DataDir, unfinished)
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		return nil, err
	}
	c.restoring = true
	if _, err := from.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	if err := restoreStreams(ctx, &c, m, from); err != nil {
		return nil, err
	}
	r := &Restored{From: m, held: held[names.StreamUp]}
	if err := r.settle(ctx, &c); err != nil {
		return nil, err
	}
	if err := os.Remove(mark); err != nil {
		return nil, err
	}
	return r, syncDir(c.DataDir)
}

// emptyDir makes the directory, unless it is there and empty.
func emptyDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != "lost+found" {
			return fmt.Errorf("%s is not empty: it has %s; a backup is restored to a new directory", dir, e.Name())
		}
	}
	return nil
}

// restoreStreams has a server make the streams.
func restoreStreams(ctx context.Context, c *Config, m *archive.Manifest, from io.Reader) (err error) {
	srv, err := servers.New(c.servers())
	if err == nil {
		err = srv.Start(ctx)
	}
	in := archive.NewReader(from)
	for err == nil {
		var stream string
		if stream, err = in.Next(); err == nil {
			err = restoreStream(ctx, srv, m.Stream(stream), in)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	srv.Cancel()
	srv.Stop()
	return errors.Join(err, srv.Unlock())
}

func restoreStream(ctx context.Context, srv *servers.Servers, s *archive.Stream, from io.Reader) error {
	if s == nil {
		return &archive.Error{Reason: "it has changed while it was read"}
	}
	of := servers.Snapshot{Config: s.Config, State: s.State}
	var err error
	if s.Name == names.StreamUp { // it gets another identity
		if of.Config, err = withoutIdentity(s.Config); err != nil {
			return err
		}
	}
	return srv.Restore(ctx, s.Name, of, func(to io.Writer) error {
		_, err := io.Copy(to, from)
		return err
	})
}

// withoutIdentity takes the log's identity, and what the server itself has noted, out of a
// stream's configuration.
func withoutIdentity(config json.RawMessage) (json.RawMessage, error) {
	var all, meta map[string]json.RawMessage
	if err := json.Unmarshal(config, &all); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(all["metadata"], &meta); err != nil {
		return config, nil //nolint:nilerr // it has none
	}
	for k := range meta {
		if k == uplog.IdentityKey || strings.HasPrefix(k, "_nats.") {
			delete(meta, k)
		}
	}
	text, err := json.Marshal(meta)
	if err != nil {
		return nil, err
	}
	all["metadata"] = text
	return json.Marshal(all)
}

// settle opens what was restored once, which gives the log an identity and a mark and syncs
// everything, compares it with the backup, and closes it in order.
func (r *Restored) settle(ctx context.Context, c *Config) (err error) {
	b, err := Open(ctx, *c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close(ctx)) }()
	info, err := b.srv.Info(ctx, names.StreamUp)
	if err != nil {
		return err
	}
	r.Log, r.First, r.Last, r.Records = b.Identity(), info.State.FirstSeq, info.State.LastSeq, info.State.Msgs
	if is := r.held; r.Records != is.Messages || r.Last < is.Last || r.Last < r.From.Durable {
		return fmt.Errorf("backbone: the store made %d records to position %d of the backup's %d to %d", r.Records, r.Last, is.Messages, is.Last)
	}
	if err := b.Damage(); err != nil {
		return err
	}
	places, err := b.openPlaces(ctx)
	if err != nil {
		return err
	}
	return places.Adopt(ctx, r.From.Log, r.Log, r.Last)
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
