package sinks

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

// Options say what is measured. The struct tags are read by the command line.
type Options struct {
	Binary      string        `help:"The edgeloop program." default:"bin/edgeloop" type:"existingfile"`
	NATS        string        `help:"A nats-server program." name:"nats" default:"bin/nats-server"`
	Telegraf    string        `help:"A telegraf program, for the same work by mosquitto and it; default none."`
	Only        []string      `help:"Kinds of destinations: file, webhook, redis, nats, mqtt, postgres, kafka, grpc; default all." enum:"file,webhook,redis,nats,mqtt,postgres,kafka,grpc"`
	Connections int           `help:"Devices." short:"c" default:"200"`
	Rate        int           `help:"Messages a second over all devices, while latency is measured." default:"20000"`
	Size        int           `help:"Bytes of a message, envelope included." default:"200"`
	Duration    time.Duration `help:"Time of each measurement." short:"d" default:"6s"`
	Rounds      int           `help:"Rounds in which devices are asked what they feel of a sink." default:"3"`
	Round       time.Duration `help:"Time of each of these, of each state of the sink." default:"3s"`
	Backlog     uint64        `help:"Records that wait when a destination comes back." default:"1000000"`
	CatchUp     time.Duration `help:"Longest time in which a sink is watched catching up." default:"20s"`
	Limit       time.Duration `help:"Time after which what is not measured yet is left out." default:"24m"`
	Work        string        `help:"Directory for data and logs; default a temporary one. A million records take about 400 MB in the log, and more at a destination."`
	Commit      string        `help:"Commit that the programs were built from, for the page." env:"EDGEBENCH_COMMIT"`
	Page        string        `help:"Markdown page to write; its raw results go beside it, as .json." default:"sinks.md"`
}

const (
	// room is the free disk that one destination needs, for a million records.
	room = 6 << 30
	// leastLeft is the free disk below which nothing more is written.
	leastLeft = 2 << 30
	// warmup of devices is not measured.
	warmup = time.Second
	// kindWithin bounds the time of one destination.
	kindWithin = 4 * time.Minute
)

var errOptions = errors.New("bench: bad options")

func (o Options) check() error {
	if o.Connections < 1 || o.Rate < 1 || o.Duration < time.Second || o.CatchUp < time.Second || o.Rounds < 1 || o.Round < time.Second || o.Limit < time.Minute {
		return fmt.Errorf("%w: give at least one device, one message a second, a round, a second of time for each, and a minute for all", errOptions)
	}
	return nil
}

// roomy insists on so many free bytes on the disk of a directory.
func roomy(dir string, bytes uint64) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return err
	}
	if free := s.Bavail * uint64(s.Bsize); free < bytes { //nolint:gosec // a size of blocks
		return fmt.Errorf("bench: %d MiB are free where %s is, and %d are needed: make room, or give --work elsewhere or a smaller --backlog", free>>20, dir, bytes>>20)
	}
	return nil
}
