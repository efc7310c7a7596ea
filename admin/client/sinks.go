package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"edgeloop/admin/api"
)

// Sinks lists the ways out of the log.
func (c *Client) Sinks(ctx context.Context) ([]api.Sink, error) {
	var all api.Sinks
	_, err := c.call(ctx, http.MethodGet, "/v1/sinks", nil, nil, &all)
	return all.Sinks, err
}

// ChangeSink does one action, and says how the sink stands then.
func (c *Client) ChangeSink(ctx context.Context, change api.SinkChange) (s api.Sink, err error) {
	var body any
	switch change.Action {
	case api.SinkRewind:
		body = map[string]string{"to": change.To}
	case api.SinkSkip:
		body = map[string]string{"position": change.Position}
	}
	_, err = c.call(ctx, http.MethodPost, sinkPath(change.Name)+"/"+string(change.Action), lettersQuery(change.Letters), body, &s)
	return s, err
}

// DeadLetters is one page of the records that a destination refused; after is the Next of
// the page before.
func (c *Client) DeadLetters(ctx context.Context, sink, after string) (page api.DeadLetterPage, err error) {
	query := make(url.Values)
	setString(query, "after", after)
	_, err = c.call(ctx, http.MethodGet, sinkPath(sink)+"/dead-letters", query, nil, &page)
	return page, err
}

// RemoveDeadLetter gives up a refused record; a Problem with status 404 when there is none.
func (c *Client) RemoveDeadLetter(ctx context.Context, sink string, number uint64) error {
	_, err := c.call(ctx, http.MethodDelete, sinkPath(sink)+"/dead-letters/"+strconv.FormatUint(number, 10), nil, nil, nil)
	return err
}

// RemoveDeadLetters gives up all refused records that are meant, and says how many they were.
func (c *Client) RemoveDeadLetters(ctx context.Context, sink string, which api.LetterFilter) (int, error) {
	query := lettersQuery(which)
	if len(query) == 0 {
		query.Set("all", "true")
	}
	var out api.DeadLettersRemoved
	_, err := c.call(ctx, http.MethodDelete, sinkPath(sink)+"/dead-letters", query, nil, &out)
	return out.Removed, err
}

func lettersQuery(which api.LetterFilter) url.Values {
	query := make(url.Values)
	setString(query, "tenant", which.Tenant)
	setString(query, "device", which.Device)
	setString(query, "reason", which.Reason)
	return query
}

// Readers lists the readers that have a place; tenant "": of all.
func (c *Client) Readers(ctx context.Context, tenant string) ([]api.Reader, error) {
	query := make(url.Values)
	setString(query, "tenant", tenant)
	var all api.Readers
	_, err := c.call(ctx, http.MethodGet, "/v1/readers", query, nil, &all)
	return all.Readers, err
}

// ForgetReader forgets the place of a reader; a Problem with status 404 when it has none.
func (c *Client) ForgetReader(ctx context.Context, tenant, name string) error {
	query := make(url.Values)
	setString(query, "tenant", tenant)
	_, err := c.call(ctx, http.MethodDelete, "/v1/readers/"+url.PathEscape(name), query, nil, nil)
	return err
}

func sinkPath(sink string) string { return "/v1/sinks/" + url.PathEscape(sink) }
