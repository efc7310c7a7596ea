package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// readWithin is how long Read may wait for the next record.
const readWithin = 30 * time.Second

// consumer reads a broker's topic from an offset.
func consumer(addr string, from kgo.Offset) (*kgo.Client, error) {
	return kgo.NewClient(
		kgo.SeedBrokers(addr), kgo.ConsumeTopics(Topic), kgo.ConsumeResetOffset(from),
		kgo.FetchMaxWait(50*time.Millisecond), kgo.FetchMaxPartitionBytes(8<<20), kgo.MaxConcurrentFetches(1),
	)
}

// Read calls each with the first count records of a broker, each partition's in its order. line is
// borrowed until return.
func Read(ctx context.Context, addr string, count int64, each func(line []byte) error) error {
	client, err := consumer(addr, kgo.NewOffset().AtStart())
	if err != nil {
		return err
	}
	defer client.Close()
	for seen := int64(0); seen < count; {
		waiting, cancel := context.WithTimeout(ctx, readWithin)
		fetches := client.PollFetches(waiting)
		cancel()
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("read what Kafka has, %d of %d: %w", seen, count, err)
		}
		for _, r := range fetches.Records() {
			seen++
			if err := each(r.Value); err != nil {
				return err
			}
		}
	}
	return nil
}

// Follow calls each with what comes from now on, until ctx ends. line is borrowed until return.
func Follow(ctx context.Context, addr string, each func(line []byte) error) error {
	client, err := consumer(addr, kgo.NewOffset().AtEnd())
	if err != nil {
		return err
	}
	defer client.Close()
	for {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if err := fetches.Err(); err != nil {
			return err
		}
		for _, r := range fetches.Records() {
			if err := each(r.Value); err != nil {
				return err
			}
		}
	}
}
