package sinks

import (
	"errors"
	"fmt"
	"time"
)

// Options say what is measured. The struct tags are read by the command line.
type Options struct {
	Binary      string        `help:"The edgeloop program." default:"bin/edgeloop" type:"existingfile"`
	NATS        string        `help:"A nats-server program." name:"nats" default:"bin/nats-server"`
	Telegraf    string        `help:"A telegraf program, for the same work by mosquitto and it; default none."`
	Only        []string      `help:"Kinds of destinations: file, webhook, redis, nats, mqtt, postgres; default all." enum:"file,webhook,redis,nats,mqtt,postgres"`
	Connections int           `help:"Devices." short:"c" default:"200"`
	Rate        int           `help:"Messages a second over all devices, while latency is measured." default:"20000"`
	Size        int           `help:"Bytes of a message, envelope included." default:"200"`
	Duration    time.Duration `help:"Time of each measurement." short:"d" default:"15s"`
	Backlog     uint64        `help:"Records that wait when a destination comes back." default:"1000000"`
	CatchUp     time.Duration `help:"Longest time in which a sink is watched catching up." default:"1m"`
	Work        string        `help:"Directory for data and logs; default a temporary one. A million records take about 400 MB, four times for each destination."`
	Commit      string        `help:"Commit that the programs were built from, for the page." env:"EDGEBENCH_COMMIT"`
	Page        string        `help:"Markdown page to write; its raw results go beside it, as .json." default:"sinks.md"`
}

// maxFills bounds how many times a backlog is added to.
const maxFills = 60

var errOptions = errors.New("bench: bad options")

func (o Options) check() error {
	if o.Connections < 1 || o.Rate < 1 || o.Duration < time.Second || o.CatchUp < time.Second {
		return fmt.Errorf("%w: give at least one device, one message a second, and a second of time", errOptions)
	}
	return nil
}
