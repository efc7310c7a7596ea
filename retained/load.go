package retained

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone/reader"
	"edgeloop/backbone/store"
)

// noteOff is the note of a place behind which nothing was retained: what is in the log need not be
// read.
const noteOff = "off"

// Load takes up what an earlier run has kept, and what is in the log since. It is called once,
// before Run and before devices connect: then the Table has all that was acknowledged. It writes
// only where the store does not say from where to read, or says what will be wrong.
func (t *Table) Load(ctx context.Context) error {
	there, err := t.fromStore(ctx)
	if err != nil {
		return err
	}
	edge, err := t.cfg.Log.Edge(ctx, reader.Newest)
	if err != nil {
		return err //nolint:wrapcheck // the log says what it could not do
	}
	was := t.place
	switch {
	case there && was.Log != edge.Log: // its positions mean nothing in this one
		t.age(0)
	case was.Position > edge.Position: // the end of the log is lost, or it was put back
		t.cfg.Logger.Warn("the log ends before what was read of it for what is retained, which stays", zap.Uint64("end", edge.Position), zap.Uint64("was", was.Position))
		t.age(edge.Position)
	}
	if !there || was.Note == noteOff || was.Log == edge.Log && was.Position > edge.Position {
		return t.write(ctx, store.Place{Log: edge.Log, Position: edge.Position})
	}
	t.place = store.Place{Log: edge.Log, Position: was.Position}
	if was.Log != edge.Log {
		t.cfg.Logger.Warn("what is retained is of another log, and stays; this one is read from its beginning", zap.String("log", edge.Log), zap.String("was", was.Log))
		t.place.Position = 0
	}
	return t.fromLog(ctx, t.place.Position, edge)
}

// SwitchOff is in the place of Load and Run where nothing is to be retained for now: what is kept
// stays, and what the log has until now is added. What comes then is not.
func (t *Table) SwitchOff(ctx context.Context) error {
	upto, there, err := t.cfg.Store.Each(ctx, func(store.RetainedMessage) {})
	if err != nil || !there || upto.Note == noteOff {
		return err //nolint:wrapcheck // the store says what it could not do
	}
	if err := t.Load(ctx); err != nil {
		return err
	}
	edge, err := t.cfg.Log.Edge(ctx, reader.Newest)
	if err != nil {
		return err //nolint:wrapcheck // the log says what it could not do
	}
	return t.write(ctx, store.Place{Log: edge.Log, Position: edge.Position, Note: noteOff})
}

// fromStore takes in what the store has; there is false where it never had anything.
func (t *Table) fromStore(ctx context.Context) (there bool, err error) {
	over := 0
	t.place, there, err = t.cfg.Store.Each(ctx, func(m store.RetainedMessage) {
		if !t.takeUp(&m) {
			over++
		}
	})
	if err != nil {
		return false, err //nolint:wrapcheck // the store says what it could not do
	}
	if over > 0 {
		t.cfg.Logger.Warn("some messages are no longer retained: the limit allows fewer now", zap.Int("deleted", over), zap.Int("most", t.cfg.Most))
	}
	return there, nil
}

// takeUp takes in what the store has of a topic; false: there was room for more. What lies under
// another topic than the one it is found at is moved: by an earlier build that is the one to which it
// was published, and names may be made otherwise now.
func (t *Table) takeUp(m *store.RetainedMessage) bool {
	topic := t.topicOf(m)
	fits := t.Reserve(m.Tenant, topic, len(m.Line))
	t.mu.Lock()
	defer t.mu.Unlock()
	_, lies := t.slotLocked(m.Tenant, m.Topic)
	if lies.stored = true; !fits || topic != m.Topic {
		t.changed[lies] = struct{}{}
	}
	if !fits {
		return false
	}
	h, s := t.findLocked(m.Tenant, topic)
	before := s.roomLocked()
	s.coming--
	if s.message == nil || s.message.Position <= m.Position { // else a newer one was moved here
		t.putLocked(s, newMessage(m.Position, m.Line))
		if s == lies {
			delete(t.changed, s)
		}
	}
	t.settleLocked(h, s, before)
	return true
}

// topicOf is the topic at which subscribers find a message; of one that cannot be read it is the one
// under which it lies.
func (t *Table) topicOf(m *store.RetainedMessage) string {
	var r struct{ Device, Topic string }
	before := head(m.Line)
	if json.Unmarshal(append(before[:len(before):len(before)], '}'), &r) != nil {
		return m.Topic
	}
	return t.Topic(r.Device, r.Topic)
}

// age has messages behind a position be of an older log.
func (t *Table) age(behind uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.tenants {
		for _, s := range h.all {
			if s.message != nil && s.message.Position > behind {
				t.putLocked(s, newMessage(0, s.message.Line))
			}
		}
	}
}

// mark is in every record that is to be retained, before its data.
var mark = []byte(`,"retain":true`)

// fromLog takes in what the log has behind a position, up to where it ends. What it has taken in
// before an error is kept.
func (t *Table) fromLog(ctx context.Context, from uint64, edge store.Place) error {
	began, unread, at := time.Now(), 0, from
	err := t.cfg.Log.Read(ctx, reader.Options{After: from, Log: edge.Log}, func(position uint64, line []byte) error {
		if bytes.Contains(head(line), mark) && !t.readAgain(position, line) { // never silent
			unread++
		}
		at = position
		return nil
	})
	if err != nil {
		if at > from { // the next start goes on there, however long the log is
			err = errors.Join(err, t.writeProgress(ctx, store.Place{Log: edge.Log, Position: at}))
		}
		return fmt.Errorf("read what is retained, up to %d of %d: %w", at, edge.Position, err)
	}
	if unread > 0 {
		t.cfg.Logger.Error("records cannot be read, and are not retained", zap.Int("count", unread))
	}
	if took := time.Since(began); took > time.Second {
		t.cfg.Logger.Info("the log was read for what is retained", zap.Uint64("from", from), zap.Uint64("upto", edge.Position), zap.Duration("dur", took))
	}
	return nil
}

// progressMost bounds writeProgress.
const progressMost = 20 * time.Second

// writeProgress is write where the time of the start, ctx, may be over.
func (t *Table) writeProgress(ctx context.Context, upto store.Place) error {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), progressMost)
	defer cancel()
	return t.write(within, upto)
}

// readAgain takes in a record of the log, again or for the first time: behind the last of them it is
// the same. line is borrowed.
func (t *Table) readAgain(position uint64, line []byte) (ok bool) {
	var r struct {
		Tenant   string          `json:"tenant"`
		Device   string          `json:"device"`
		Topic    string          `json:"topic"`
		Data     json.RawMessage `json:"data"`
		Encoding string          `json:"encoding"`
	}
	if json.Unmarshal(line, &r) != nil {
		return false
	}
	empty := r.Encoding != "" && string(r.Data) == `""` // [MQTT-3.3.1-6] [MQTT-3.3.1-7]
	topic := t.Topic(r.Device, r.Topic)
	t.Retain(r.Tenant, topic, !empty && t.Reserve(r.Tenant, topic, len(line)), position, line)
	return true
}
