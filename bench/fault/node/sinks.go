package node

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Sink is what the node says of one.
type Sink struct {
	Name, State, Place string
	Lag                *uint64 `json:"lag_records"` // nil: not known
	LastError          string  `json:"last_error"`
}

// Sinks is what the node says of its sinks.
func (n *Node) Sinks(ctx context.Context) ([]Sink, error) {
	var page struct{ Sinks []Sink }
	err := n.ask(ctx, "GET", "/v1/sinks", nil, &page)
	return page.Sinks, err
}

// Rewind puts the place of a sink elsewhere.
func (n *Node) Rewind(ctx context.Context, sink, to string) error {
	return n.ask(ctx, "POST", "/v1/sinks/"+sink+"/rewind", map[string]any{"to": to}, nil)
}

// Letters calls each with the dead letters of a sink.
func (n *Node) Letters(ctx context.Context, sink string, each func(position string, record []byte) error) error {
	for after := ""; ; {
		var page struct {
			Letters []struct {
				Position string
				Record   json.RawMessage
			} `json:"dead_letters"`
			Next string
		}
		if err := n.ask(ctx, "GET", "/v1/sinks/"+sink+"/dead-letters?limit=1000"+after, nil, &page); err != nil {
			return err
		}
		for _, l := range page.Letters {
			if err := each(l.Position, l.Record); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		after = "&after=" + page.Next
	}
}

// ask calls the admin API, insists on 200, and reads the answer, unless into is nil.
func (n *Node) ask(ctx context.Context, method, path string, body, into any) error {
	status, answer, err := n.Call(ctx, method, path, body)
	switch {
	case err != nil:
		return fmt.Errorf("%s %s: %w", method, path, err)
	case status != http.StatusOK:
		return fmt.Errorf("%s %s: status %d: %.200s", method, path, status, answer)
	case into == nil:
		return nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return fmt.Errorf("%s %s: %w: %.200s", method, path, err, answer)
	}
	return nil
}
