package kafka

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"edgeloop/internal/testkit"
)

// serve runs a broker of a directory, and returns where it is, how to order, and how to end it.
func serve(t *testing.T, dir string) (addr string, order func(string) string, end func()) {
	t.Helper()
	addr = testkit.FreeAddr(t)
	config, err := json.Marshal(Config{Addr: addr, Front: addr, Dir: dir, Judge: true})
	if err != nil {
		t.Fatal(err)
	}
	in, orders := io.Pipe()
	answers, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := Serve(string(config), in, out)
		ended <- errors.Join(err, out.CloseWithError(io.EOF))
	}()
	lines := bufio.NewScanner(answers)
	if !lines.Scan() {
		t.Fatalf("the broker ended: %v", <-ended)
	}
	order = func(what string) string {
		fmt.Fprintln(orders, what)
		lines.Scan()
		return lines.Text()
	}
	return addr, order, func() {
		_ = orders.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// A broker refuses what it was told to, alone and for good, and has that, and what it took, when
// it starts again.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	addr, order, end := serve(t, dir)
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordRetries(1), kgo.DefaultProduceTopic(Topic))
	if err != nil {
		t.Fatal(err)
	}
	produce := func(device string, seq int) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		line := fmt.Sprintf(`{"tenant":"default","device":%q,"epoch":7,"seq":%d,"type":"telemetry"}`, device, seq)
		return client.ProduceSync(ctx, &kgo.Record{Key: []byte(device), Value: []byte(line)}).FirstErr()
	}
	if err := errors.Join(produce("d1", 1), produce("d5", 1)); err != nil {
		t.Fatal(err)
	}
	if err := produce("d5", poison); !errors.Is(err, kerr.InvalidRecord) {
		t.Errorf("what is always refused: %v", err)
	}
	order(RefuseAll)
	if err := produce("d1", 2); !errors.Is(err, kerr.InvalidRecord) {
		t.Errorf("while all is refused: %v", err)
	}
	if err := produce("d1", 1); err != nil {
		t.Errorf("what it has taken already: %v", err)
	}
	order(RefuseFew)
	if err := errors.Join(produce("d1", 3)); err != nil {
		t.Error(err)
	}
	client.Close()
	end()
	refused, err := Refused(dir)
	if err != nil || len(refused) != 2 || !refused[Record{"d5", poison}] || !refused[Record{"d1", 2}] {
		t.Errorf("refused %v, %v", refused, err)
	}
	addr, order, end = serve(t, dir)
	defer end()
	if got := order(CountLines); got != "4" {
		t.Fatalf("it has %s records", got)
	}
	var lines []string
	err = Read(t.Context(), addr, 4, func(line []byte) error {
		lines = append(lines, string(line))
		return nil
	})
	if err != nil || len(lines) != 4 || strings.Contains(strings.Join(lines, ""), `"seq":2`) {
		t.Errorf("%v, %v", lines, err)
	}
}
