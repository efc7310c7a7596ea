package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"edgeloop/admin/api"
)

// maxLine is more than any record of a log, in bytes.
const maxLine = 32 << 20

// EndError says that a node ended a tail before its time.
type EndError struct{ api.TailEnd }

func (e *EndError) Error() string {
	return "the node ended the stream: " + string(e.End) + ": " + e.Detail
}

// Tail calls fn for each record, one JSON object without its line break,
// borrowed until fn returns. Without q.Follow it returns nil after the last
// record; with it, only when ctx ends, fn returns an error, which is returned,
// or the node ends the stream, which is an *EndError. q.After is not used.
func (c *Client) Tail(ctx context.Context, q api.TailQuery, fn func(line []byte) error) error {
	res, err := c.send(ctx, http.MethodGet, "/v1/tail", tailQuery(q), nil, "application/x-ndjson")
	if err != nil {
		return err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		line := lines.Bytes()
		if len(line) == 0 {
			continue // a heartbeat
		}
		if bytes.HasPrefix(line, []byte(`{"end":`)) {
			end := new(EndError)
			if err := json.Unmarshal(line, &end.TailEnd); err != nil {
				return fmt.Errorf("read the log: %w", err)
			}
			return end
		}
		if err := fn(line); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	return nil
}

func tailQuery(q api.TailQuery) url.Values {
	query := make(url.Values)
	setString(query, "tenant", q.Tenant)
	setString(query, "device", q.Device)
	if q.All {
		query.Set("since", "all")
	} else if !q.Since.IsZero() {
		query.Set("since", q.Since.Format(time.RFC3339Nano))
	}
	query.Set("follow", strconv.FormatBool(q.Follow))
	return query
}
