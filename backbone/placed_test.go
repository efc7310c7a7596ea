package backbone_test

import (
	"fmt"
	"sync"
	"testing"

	"edgeloop/backbone"
)

// placer writes down what it hears of records, and whether the log counted as durable up to them.
type placer struct {
	unrivalled
	log *backbone.Backbone

	mu sync.Mutex
	// Guarded by mu.
	placed  []string
	durable int
	faults  []string
}

func (p *placer) Placed(position uint64, line []byte) {
	end, _ := p.log.Durable()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.placed = append(p.placed, fmt.Sprint(position, " ", string(line))); end >= position {
		p.faults = append(p.faults, fmt.Sprintf("the log was durable up to %d before %d was placed", end, position))
	}
}

func (p *placer) Durable(_ uint64, n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.durable += n; p.durable > 50 { // of them every second is placed
		p.faults = append(p.faults, "more are durable than there are")
	}
}

// Whoever has records that are to be retained hears where each is, with its line, once, in order, and
// before anybody else can know that it is durable. Of others nothing is said.
func TestBackbone_Placed(t *testing.T) {
	b := open(t, backbone.Config{DataDir: t.TempDir()})
	p := &placer{log: b}
	for i := range 50 {
		r := record("d", uint64(i)+1, nil)
		r.Retain, r.Done = i%2 == 0, p
		if err := b.Append([]backbone.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var want []string
	if err := b.Read(t.Context(), backbone.ReadOptions{}, func(position uint64, line []byte) error {
		if position%2 == 1 {
			want = append(want, fmt.Sprint(position, " ", string(line)))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if got := fmt.Sprint(p.placed); len(want) != 25 || got != fmt.Sprint(want) || p.durable != 50 || len(p.faults) > 0 {
		t.Errorf("placed are %s, want %s; %d durable; %v", got, want, p.durable, p.faults)
	}
	if err := b.AwaitDurable(t.Context(), 50); err != nil {
		t.Error(err)
	}
}
