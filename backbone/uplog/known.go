package uplog

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/names"
	"edgeloop/backbone/servers"
)

// knownDevices says of a device whether the log may hold anything of it: a Bloom
// filter over the subjects. A device that connects for the first time then costs
// no question to the log, which is 40 µs of a round trip. Only the sole writer
// of a log can keep one; on an external server other nodes write too.
//
// It never says no of a device that is in the log. With a million devices it
// says yes of two to three in a hundred that are not; the log is then asked about those.
type knownDevices struct {
	// Immutable after construction.
	seed maphash.Seed

	// Atomic.
	bits [knownBits / 64]atomic.Uint64
}

// maxSubject is room for the subject of two names of usual length.
const maxSubject = 128

const (
	knownBits   = 1 << 23 // 1 MiB
	knownProbes = 4
)

// loadKnown makes the filter of what is in the stream, and lists that.
func loadKnown(ctx context.Context, srv *servers.Servers) (k *knownDevices, subjects []string, err error) {
	k = &knownDevices{seed: maphash.MakeSeed()}
	info, err := srv.Info(ctx, names.StreamUp, jetstream.WithSubjectFilter(names.Up+">"))
	if err != nil {
		return nil, nil, fmt.Errorf("list the devices in the log: %w", err)
	}
	for subject := range info.State.Subjects {
		k.add(subject)
		subjects = append(subjects, subject)
	}
	return k, subjects, nil
}

// add notes a subject; any goroutine.
func (k *knownDevices) add(subject string) {
	for h, i := maphash.String(k.seed, subject), 0; i < knownProbes; i++ {
		word, bit := place(h, i)
		if k.bits[word].Load()&bit == 0 {
			k.bits[word].Or(bit)
		}
	}
}

// has says whether the log may hold the subject; any goroutine.
func (k *knownDevices) has(subject string) bool {
	for h, i := maphash.String(k.seed, subject), 0; i < knownProbes; i++ {
		if word, bit := place(h, i); k.bits[word].Load()&bit == 0 {
			return false
		}
	}
	return true
}

// place is where probe i of a hash lies: double hashing with its two halves.
func place(h uint64, i int) (word, bit uint64) {
	at := (h + uint64(i)*(h>>32|1)) % knownBits //nolint:gosec // a small number
	return at / 64, 1 << (at % 64)
}
