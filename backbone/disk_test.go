package backbone_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"edgeloop/backbone"
	"edgeloop/backbone/backbonetest"
)

// What a killed process has left counts as durable from the start on, so it has to
// be synced wherever links lead: data directory, store or a stream on another disk.
func TestOpen_SyncsBehindSymbolicLinks(t *testing.T) {
	for name, link := range map[string]string{
		"none": "", "data directory": ".", "store": "nats", "streams": "nats/jetstream/$G/streams",
		"blocks of the log": "nats/jetstream/$G/streams/EDGELOOP_UP/msgs",
	} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			data := filepath.Join(top, "data")
			b := open(t, backbone.Config{DataDir: data})
			backbonetest.Append(t, b, []backbone.Record{record("d", 1, nil)})
			backbonetest.Close(t, b)
			if link != "" {
				moved, from := filepath.Join(top, "moved"), filepath.Join(data, link)
				if err := errors.Join(os.Rename(from, moved), os.Symlink(moved, from)); err != nil {
					t.Fatal(err)
				}
			}
			var synced []string
			open2 := openWith(t, backbone.Config{DataDir: data}, backbone.Seams{Synced: func(path string) {
				target, err := filepath.EvalSymlinks(path)
				if err != nil {
					return // not there, as files of a stream that it does not need
				}
				synced = append(synced, target)
			}})
			backbonetest.Close(t, open2)
			for _, want := range []string{
				".", "nats", "nats/jetstream", "nats/jetstream/$G", "nats/jetstream/$G/streams",
				"nats/jetstream/$G/streams/EDGELOOP_UP", "nats/jetstream/$G/streams/EDGELOOP_UP/meta.inf",
				"nats/jetstream/$G/streams/EDGELOOP_UP/msgs", "nats/jetstream/$G/streams/EDGELOOP_UP/msgs/1.blk",
			} {
				target, err := filepath.EvalSymlinks(filepath.Join(data, want))
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Contains(synced, target) {
					t.Errorf("%s is not synced", want)
				}
				if info, err := os.Stat(target); err == nil && info.IsDir() && !slices.Contains(synced, filepath.Dir(target)) {
					t.Errorf("the name of %s is not synced", want)
				}
			}
		})
	}
}

// Files that are not the node's, and that it may not even read, do not keep it from
// starting.
func TestOpen_LeavesAloneWhatIsNotItsOwn(t *testing.T) {
	data := t.TempDir()
	backbonetest.Close(t, open(t, backbone.Config{DataDir: data}))
	foreign := []string{
		"lost+found/x", "notes.bak", "nats/lost+found/x", "nats/notes.bak", "nats/jetstream/notes.bak",
		"nats/jetstream/$G/streams/EDGELOOP_UP/msgs/1.blk.bak",
	}
	for _, name := range foreign {
		path := filepath.Join(data, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	b := openWith(t, backbone.Config{DataDir: data}, backbone.Seams{Synced: func(path string) {
		if strings.HasSuffix(path, ".bak") || strings.Contains(path, "lost+found") {
			t.Errorf("looks at %s", path)
		}
	}})
	backbonetest.Append(t, b, []backbone.Record{record("d", 1, nil)})
	backbonetest.Close(t, b)
}

// The lock goes with the directory, not with a file in it that anybody may remove.
func TestOpen_InUseWhateverIsRemoved(t *testing.T) {
	for name, damage := range map[string]func(data string) error{
		"nothing":        func(string) error { return nil },
		"lock file":      func(data string) error { return os.Remove(filepath.Join(data, "nats", "lock")) },
		"lock file anew": func(data string) error { return replaceFile(filepath.Join(data, "nats", "lock")) },
		"store moved":    func(data string) error { return os.Rename(filepath.Join(data, "nats"), filepath.Join(data, "old")) },
		"behind a link":  func(data string) error { return os.Rename(data, data+".old") },
	} {
		t.Run(name, func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			b := open(t, backbone.Config{DataDir: data, Node: "first"})
			if err := damage(data); err != nil {
				t.Fatal(err)
			}
			if name == "behind a link" {
				if err := os.Symlink(data+".old", data); err != nil {
					t.Fatal(err)
				}
			}
			_, err := backbone.Open(t.Context(), backbone.Config{DataDir: data})
			if !errors.Is(err, backbone.ErrInUse) {
				t.Fatalf("Open twice: %v", err)
			}
			if (name == "nothing" || name == "behind a link") && !strings.Contains(err.Error(), "node first") {
				t.Errorf("%q does not name the holder", err)
			}
			closeSoon(t, b)
		})
	}
}

func replaceFile(path string) error {
	return errors.Join(os.Remove(path), os.WriteFile(path, nil, 0o600))
}

// A node whose directory was moved away confirms nothing: what it writes by name
// would go to another's files.
func TestBackbone_ConfirmsNothingInAMovedDirectory(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	b := open(t, backbone.Config{DataDir: data})
	backbonetest.Append(t, b, []backbone.Record{record("d", 1, nil)})
	if err := os.Rename(data, data+".old"); err != nil {
		t.Fatal(err)
	}
	other := open(t, backbone.Config{DataDir: data})
	var done heard
	if err := b.Append([]backbone.Record{record("d", 2, &done)}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the log to stall", func() bool { return errors.Is(b.State().Cause, backbone.ErrMoved) })
	if got := done.String(); got != "" {
		t.Errorf("confirmed %s", got)
	}
	backbonetest.Close(t, other)
	if err := errors.Join(os.RemoveAll(data), os.Rename(data+".old", data)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the record to be durable", func() bool { return done.String() == "2" })
}

// closeSoon closes what may not be able to finish any more.
func closeSoon(t *testing.T, b *backbone.Backbone) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_ = b.Close(ctx)
}
