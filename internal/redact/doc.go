// Package redact takes secrets out of what is shown.
package redact
