package redact_test

import (
	"testing"

	"edgeloop/internal/redact"
)

func TestURL(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "",
		"nats://host:4222":                    "nats://host:4222",
		"nats://edge:s3cret@host:4222":        "nats://…@host:4222",
		"nats://t0ken@host":                   "nats://…@host",
		"nats://edge:s3c@r/et#@host":          "nats://…@host",
		"nats://edge:s,ecret@host":            "nats://…@host",
		"nats://a:s3cret@h1,tls://b:s3cre@h2": "nats://…@h2",
		"edge:s3cret@host":                    "…@host",
		"--nats-url=nats://edge:s3cret@host":  "--nats-url=nats://…@host",
	} {
		if got := redact.URL(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}
