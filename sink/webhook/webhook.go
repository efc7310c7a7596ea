package webhook

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"edgeloop/internal/redact"
	"edgeloop/sink"
	"edgeloop/sink/keys"
)

// hook is one receiver.
type hook struct {
	// Immutable after construction.
	url     string
	format  format
	each    sink.Format
	gzip    bool
	headers map[string]string
	bearer  keys.Secret
	secret  keys.Secret
	client  *http.Client
	close   func()

	// Owned by who sends.
	body, packed bytes.Buffer
	line         []byte
}

// maxKeptBuffer is how large a buffer may be that is kept for the next batch.
const maxKeptBuffer = 4 << 20

// New makes the destination of its keys.
func New(m *keys.Map) sink.Destination {
	h := &hook{
		url:     m.Needed("url", "https://example.org/in"),
		format:  format(m.Word("format", "ndjson", "ndjson", "json", "cloudevents")),
		gzip:    m.Flag("gzip", false),
		headers: m.Part("headers").Rest(),
		bearer:  m.Secret("bearer"),
		secret:  m.Secret("secret"),
	}
	h.each = sink.ReadFields(m, h.format.form())
	for name := range h.headers {
		if !validHeader(name) {
			m.Fail("headers", "%q cannot be set: give a header that is not of the body, the connection or the signature", name)
		}
	}
	if h.secret.Given() {
		if _, err := h.key(); err != nil {
			m.Fail("secret_file", "%s", err)
		}
	}
	h.client, h.close = newClient(m, h.url)
	return h
}

// validHeader says whether a configuration may set a header.
func validHeader(name string) bool {
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	switch http.CanonicalHeaderKey(name) {
	case "", "Content-Type", "Content-Encoding", "Content-Length", "Transfer-Encoding", "Connection", "Host",
		"Webhook-Id", "Webhook-Timestamp", "Webhook-Signature":
		return false
	}
	return true
}

// Send implements sink.Destination.
func (h *hook) Send(ctx context.Context, records []sink.Record) (int, error) {
	body, err := h.encode(records)
	if err != nil {
		return 0, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return 0, errors.New(redact.URL(err.Error()))
	}
	if err := h.head(req, records, body); err != nil {
		return 0, err
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return 0, shown(err)
	}
	defer resp.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(resp.Body, 512))
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
	return judge(resp, said, len(records), time.Now())
}

// encode gives the body as it is sent; it is valid until the next call.
func (h *hook) encode(records []sink.Record) ([]byte, error) {
	if h.body.Cap() > maxKeptBuffer {
		h.body, h.packed = bytes.Buffer{}, bytes.Buffer{}
	}
	h.body.Reset()
	h.line = h.format.write(&h.body, h.line, &h.each, records)
	if !h.gzip {
		return h.body.Bytes(), nil
	}
	h.packed.Reset()
	z := gzip.NewWriter(&h.packed)
	if _, err := z.Write(h.body.Bytes()); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil { // only now it is whole
		return nil, err
	}
	return h.packed.Bytes(), nil
}

// head fills in the header.
func (h *hook) head(req *http.Request, records []sink.Record, body []byte) error {
	for name, value := range h.headers {
		req.Header.Set(name, value)
	}
	req.Header.Set("Content-Type", h.format.mediaType())
	if h.gzip {
		req.Header.Set("Content-Encoding", "gzip")
	}
	req.Header.Set("User-Agent", "edgeloop")
	if h.bearer.Given() {
		token, err := h.bearer.Read()
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	id := records[0].ID() + "-" + strconv.Itoa(len(records))
	req.Header.Set("Webhook-Id", id)
	return h.sign(req, id, body)
}

// judge says what an answer means.
func judge(resp *http.Response, said []byte, records int, now time.Time) (int, error) {
	text := resp.Status
	if words := printable(said); words != "" {
		text += ": " + words
	}
	switch code := resp.StatusCode; {
	case code >= 200 && code <= 299:
		return records, nil
	case code == http.StatusBadRequest, code == http.StatusRequestEntityTooLarge, code == http.StatusUnprocessableEntity:
		return 0, &sink.Refusal{Records: records, Reason: text}
	case code >= 300 && code <= 399:
		return 0, fmt.Errorf("the receiver answers with a redirect, which is not followed: %s", text)
	}
	err := errors.New("the receiver answers " + text)
	if after := retryAfter(resp.Header.Get("Retry-After"), now); after > 0 {
		return 0, &sink.Later{After: after, Err: err}
	}
	return 0, err
}

// retryAfter reads the header [RFC9110 10.2.3], 0 if there is none that makes sense.
func retryAfter(text string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// printable is the beginning of what somebody said, fit for a line of a log.
func printable(b []byte) string {
	text := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r > 0xffff {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(string(b), "?"))
	if text = strings.TrimSpace(text); len(text) > 200 {
		text = strings.ToValidUTF8(text[:200], "") + "…"
	}
	return text
}

// Close implements sink.Destination.
func (h *hook) Close(context.Context) error {
	h.close()
	return nil
}
