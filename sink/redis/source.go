package redis

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"edgeloop/intake"
	"edgeloop/sink/keys"
)

const (
	// callWithin is how long the server may take to answer.
	callWithin = 10 * time.Second
	// blockFor is how long one XREADGROUP waits for an entry, and so how late a stop is seen.
	blockFor = time.Second
	// claimAtOnce is how many entries of dead consumers are taken over at a time.
	claimAtOnce = 16
)

// group is a stream whose entries are commands, read by a consumer group.
type group struct {
	// Immutable after construction.
	server                 server
	stream, name, consumer string
	from                   string // where a group begins that is new: 0, or $
	idle                   time.Duration
	tenant                 string // of commands that name none

	// Owned by who calls Run.
	client rueidis.Client
	claim  time.Time // when to look for what dead consumers left
}

// NewSource makes the source of its keys.
func NewSource(m *keys.Map) intake.Source {
	host, _ := os.Hostname() // without a name the source's must do
	g := &group{
		server:   readServer(m),
		stream:   m.Text("stream", "edgeloop:commands"),
		name:     m.Text("group", "edgeloop"),
		consumer: m.Text("consumer", strings.Trim(host+"-"+strings.TrimPrefix(m.Where(), "commands."), "-")),
		from:     map[string]string{"oldest": "0", "newest": "$"}[m.Word("from", "oldest", "oldest", "newest")],
		idle:     m.Time("idle", 5*time.Minute, time.Second, 24*time.Hour),
		tenant:   m.Text("tenant", "default"),
	}
	for key, text := range map[string]string{"stream": g.stream, "group": g.name, "consumer": g.consumer} {
		if text == "" {
			m.Fail(key, "is empty: give a name, or leave it out")
		}
	}
	return g
}

// Run implements intake.Source. What this consumer took and did not acknowledge comes first,
// then what others left, then what is new; one entry at a time is on its way.
func (g *group) Run(ctx context.Context, up func(), hand intake.Hand) (err error) {
	dialing, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	if g.client, err = g.server.dial(dialing, "edgeloop-commands"); err != nil {
		return fmt.Errorf("connect to Redis: %w", err)
	}
	defer g.client.Close()
	if err := g.create(ctx); err != nil {
		return err
	}
	up()
	g.claim = time.Time{}
	for after := "0"; ctx.Err() == nil; { // its own, until there are none
		entries, err := g.read(ctx, after)
		if err != nil {
			return err
		}
		if len(entries) == 0 {
			break
		}
		if err := g.take(ctx, entries, hand); err != nil {
			return err
		}
		after = entries[len(entries)-1].ID
	}
	for ctx.Err() == nil {
		if err := g.takeOver(ctx, hand); err != nil {
			return err
		}
		entries, err := g.read(ctx, ">")
		if err != nil {
			return err
		}
		if err := g.take(ctx, entries, hand); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// do asks the server.
func (g *group) do(ctx context.Context, c rueidis.Completed) rueidis.RedisResult {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	return g.client.Do(ctx, c)
}

// create makes the group, and the stream, if there is none. A stream that was deleted has no
// group: the next read fails, and Run is called again.
func (g *group) create(ctx context.Context) error {
	err := g.do(ctx, g.client.B().XgroupCreate().Key(g.stream).Group(g.name).Id(g.from).Mkstream().Build()).Error()
	if err != nil && !strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return fmt.Errorf("make the group %s of the stream %s: %w", g.name, g.stream, err)
	}
	return nil
}

// read reads one entry: one of this consumer's own behind an id, or a new one by ">".
func (g *group) read(ctx context.Context, after string) ([]rueidis.XRangeEntry, error) {
	c := g.client.B().Xreadgroup().Group(g.name, g.consumer).Count(1).Block(blockFor.Milliseconds()).Streams().Key(g.stream).Id(after).Build()
	streams, err := g.do(ctx, c).AsXRead()
	if err != nil && !rueidis.IsRedisNil(err) {
		return nil, fmt.Errorf("read the stream %s: %w", g.stream, err)
	}
	return streams[g.stream], nil
}

// takeOver takes what consumers left that took it more than idle ago, all of it, and looks
// again after half that time.
func (g *group) takeOver(ctx context.Context, hand intake.Hand) error {
	if time.Now().Before(g.claim) {
		return nil
	}
	idle := strconv.FormatInt(g.idle.Milliseconds(), 10)
	for cursor := "0-0"; ; {
		c := g.client.B().Xautoclaim().Key(g.stream).Group(g.name).Consumer(g.consumer).MinIdleTime(idle).Start(cursor).Count(claimAtOnce).Build()
		answer, err := g.do(ctx, c).ToArray()
		if err == nil && len(answer) < 2 {
			err = fmt.Errorf("an answer of %d parts", len(answer))
		}
		if err != nil {
			return fmt.Errorf("take over what others left of %s: %w", g.stream, err)
		}
		entries, err := answer[1].AsXRange()
		if err != nil {
			return fmt.Errorf("take over what others left of %s: %w", g.stream, err)
		}
		if err := g.take(ctx, entries, hand); err != nil {
			return err
		}
		if cursor, err = answer[0].ToString(); err != nil || cursor == "0-0" {
			g.claim = time.Now().Add(g.idle / 2)
			return err
		}
	}
}

// take hands entries over, and acknowledges each that is dealt with, also when ctx ends then.
func (g *group) take(ctx context.Context, entries []rueidis.XRangeEntry, hand intake.Hand) error {
	for _, e := range entries {
		if e.FieldValues != nil { // else it was deleted while somebody had it
			c, wrong := g.command(e)
			if err := hand(ctx, c, wrong); err != nil {
				return err
			}
		}
		ack := g.client.B().Xack().Key(g.stream).Group(g.name).Id(e.ID).Build()
		if err := g.do(context.WithoutCancel(ctx), ack).Error(); err != nil {
			return fmt.Errorf("acknowledge %s of the stream %s: %w", e.ID, g.stream, err)
		}
	}
	return nil
}

// command makes a command of an entry's fields.
func (g *group) command(e rueidis.XRangeEntry) (c intake.Command, err error) {
	f := e.FieldValues
	c = intake.Command{Tenant: cmp.Or(f["tenant"], g.tenant), Device: f["device"], Name: f["name"]}
	if c.Device == "" || c.Name == "" {
		return c, intake.Refuse("the entry %s of the stream %s lacks device or name", e.ID, g.stream)
	}
	if data := f["data"]; data != "" {
		if c.Data = json.RawMessage(data); !json.Valid(c.Data) {
			return c, intake.Refuse("data of the entry %s of the stream %s is not one JSON value", e.ID, g.stream)
		}
	}
	if ttl := f["ttl"]; ttl != "" {
		if c.TTL, err = time.ParseDuration(ttl); err != nil || c.TTL < time.Second {
			return c, intake.Refuse("the ttl %q of the entry %s of the stream %s is no time of a second or more, as in 90s", ttl, e.ID, g.stream)
		}
	}
	return c, nil
}
