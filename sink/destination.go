package sink

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"edgeloop/sink/keys"
)

// A Destination takes records. Its methods are called by one goroutine at a time.
// sink/sinktest holds one against what is asked here.
type Destination interface {
	// Send hands over records, in order, and says how many of them, from the front, the
	// destination has confirmed to have for good. Fewer than all come with an error: a
	// *Refusal, or anything else, which is of the moment. A confirmation that is missing or
	// unclear is an error too; the records come again then. It tries once, and does not
	// begin the next record of a device before the one before it is certain to be stored in
	// front of it; Turns helps where records are confirmed one by one. Records of other devices
	// that are behind the confirmed ones may be stored too; they come again, with the same
	// positions. It returns soon after ctx ends. The records are shared and never written; they
	// and their bytes are borrowed until return.
	Send(ctx context.Context, records []Record) (confirmed int, err error)
	// Close gives up connections and files. It returns soon after ctx ends. Send may be
	// called again: it begins anew.
	Close(ctx context.Context) error
}

// A Kind makes a destination of its keys: it reads the ones it knows and connects to
// nothing. What is wrong with them it leaves to keys.Map.Fail.
type Kind func(m *keys.Map) Destination

// A Refusal says that a destination will never take records as they are. Behind those
// that are confirmed, the next Records of them are at fault as a whole: one, or more when it is not
// known which; then fewer are tried.
type Refusal struct {
	Records int
	Reason  string
}

func (e *Refusal) Error() string {
	if e.Records > 1 {
		return fmt.Sprintf("%d records are refused together: %s", e.Records, e.Reason)
	}
	return "refused: " + e.Reason
}

// A Later is a failure of the moment of a destination that said when to come again.
type Later struct {
	After time.Duration
	Err   error
}

func (e *Later) Error() string { return e.Err.Error() }

func (e *Later) Unwrap() error { return e.Err }

// errShort is a destination that broke its word.
var errShort = errors.New("the destination confirmed fewer records than it was given and did not say why")

// maxReason is how many bytes are kept of what a destination says.
const maxReason = 1000

// plain is what a destination says, fit to be kept and shown: in one line, and no longer than
// maxReason. Destinations repeat values in their errors, and those are a device's.
func plain(text string) string {
	whole := len(text) <= maxReason
	if !whole {
		text = text[:maxReason]
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, "?"))
	if !whole {
		text += "…"
	}
	return text
}
