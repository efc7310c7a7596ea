package kafka

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Command is the argument by which a program runs a broker; the next one is a Config as JSON.
const Command = "kafka"

// Topic is the one that the broker has.
const Topic = "telemetry"

// partitions of the topic.
const partitions = 3

// Config says how a broker is run.
type Config struct {
	Addr  string // host:port where it listens
	Front string // host:port that it tells clients, of a proxy in front of it
	Dir   string // has what it keeps; made if missing
	Judge bool   // it looks into records, and refuses some; they must not be compressed
}

// The orders that Serve takes, one a line, each answered by one line.
const (
	RefuseAll  = "refuse-all"  // every record is one that it will never take; the answer is "ok"
	RefuseFew  = "refuse-few"  // as at the start: those that it always refuses, and those that it refused
	CountLines = "count-lines" // the answer is how many records it has
)

// Serve runs a broker of the config until in ends. It writes a line when it is ready, and one
// for each order.
func Serve(config string, in io.Reader, out io.Writer) error {
	var c Config
	if err := json.Unmarshal([]byte(config), &c); err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	_, text, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	cluster, err := kfake.NewCluster(
		kfake.Ports(port), kfake.ListenFn(c.listen), kfake.DataDir(filepath.Join(c.Dir, "kept")), kfake.SyncWrites(), kfake.SeedTopics(partitions, Topic),
	)
	if err != nil {
		return err
	}
	defer cluster.Close()
	j := &judge{taken: map[Record]bool{}}
	if c.Judge {
		if err := j.open(c.Dir); err != nil {
			return err
		}
		defer j.kept.Close()
		cluster.Fault(j.fault())
	}
	return obey(cluster, j, in, out)
}

// obey carries out orders until in ends.
func obey(cluster *kfake.Cluster, j *judge, in io.Reader, out io.Writer) error {
	_, err := fmt.Fprintln(out, "ready")
	for lines := bufio.NewScanner(in); err == nil && lines.Scan(); {
		answer := "ok"
		switch order := strings.TrimSpace(lines.Text()); order {
		case RefuseAll:
			j.all.Store(true)
		case RefuseFew:
			j.all.Store(false)
		case CountLines:
			n := int64(0)
			for _, p := range cluster.PartitionInfos(Topic) {
				n += p.HighWatermark
			}
			answer = strconv.FormatInt(n, 10)
		default:
			return errors.New("kafka: no such order: " + order)
		}
		_, err = fmt.Fprintln(out, answer)
	}
	return err
}

// listen listens at an address and says that it is another one: kfake tells clients where it
// listens, and they are to come through the proxy.
func (c Config) listen(network, _ string) (net.Listener, error) {
	l, err := net.Listen(network, c.Addr)
	if err != nil || c.Front == "" {
		return l, err
	}
	front, err := net.ResolveTCPAddr("tcp", c.Front)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return fronted{l, front}, nil
}

type fronted struct {
	net.Listener
	front net.Addr
}

// Addr is where clients are to connect.
func (f fronted) Addr() net.Addr { return f.front }
