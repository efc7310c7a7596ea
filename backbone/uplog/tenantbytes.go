package uplog

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"edgeloop/backbone/names"
)

// tenantBytes knows how much of the log each tenant holds, without asking the log for it
// (docs/decisions/0058).
//
// Of a log that this node alone writes it counts what lies in a stretch of positions, by
// tenant, and drops what retention has taken. It is made of the blocks at the start, as the
// index of devices is, so a restart changes nothing.
//
// Of a log that others write too it multiplies: so many records of the tenant are in the log,
// as the log says now and then of tenants that are asked for, by what one takes on average of
// those that this node has stored.
type tenantBytes struct {
	mu sync.RWMutex
	// Guarded by mu.
	all         map[string]*holding // by their token in subjects
	found, live series              // of the blocks at the start, and of the committer

	// Owned by the goroutine that asks the log.
	asked time.Time // when it was last
}

// A holding is what one tenant has. Guarded by mu of its tenantBytes.
type holding struct {
	bytes int64 // in the log

	// Of a log that others write, too.
	wanted          bool  // somebody has asked since the log was
	stored, records int64 // by this node since its start
	base            int64 // stored when the log was asked
}

// A stretch is a piece of the log, and what it has of each tenant.
type stretch struct {
	first, last uint64 // positions
	size        int64
	bytes       map[*holding]int64
}

// A series has stretches that follow each other, of about one size.
type series struct {
	stretches []stretch
	size      int64 // from which on the next one begins
}

const (
	// mostStretches bounds the memory: beyond it two that are neighbours become one.
	mostStretches = 64
	// firstStretch is the size of one at the start, bytes.
	firstStretch = 1 << 20
	// askEvery is the time between two questions to a log that others write too.
	askEvery = 30 * time.Second
	// messageOverhead is what the store adds to a record's subject and line.
	messageOverhead = 30
)

func newTenantBytes() *tenantBytes { return &tenantBytes{all: make(map[string]*holding)} }

// tenantOf is the tenant's token in a subject of the log.
func tenantOf(subject string) string {
	token, _, _ := strings.Cut(strings.TrimPrefix(subject, names.Up), ".")
	return token
}

// of is how many bytes a tenant holds; any goroutine.
func (b *tenantBytes) of(tenant string) int64 {
	var buf [maxSubject]byte
	token := names.AppendToken(buf[:0], tenant)
	b.mu.RLock()
	h := b.all[string(token)]
	if h == nil {
		b.mu.RUnlock()
		return 0
	}
	bytes, wanted := h.bytes, h.wanted
	b.mu.RUnlock()
	if !wanted {
		b.mu.Lock()
		h.wanted = true
		b.mu.Unlock()
	}
	return bytes
}

func (b *tenantBytes) holdingLocked(token string) *holding {
	h := b.all[token]
	if h == nil {
		h = new(holding)
		b.all[strings.Clone(token)] = h
	}
	return h
}

// find counts a record of the blocks at the start. subject is borrowed until return.
func (b *tenantBytes) find(subject string, position uint64, line int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.addLocked(&b.found, tenantOf(subject), position, position, int64(len(subject)+line+messageOverhead))
}

// noteAll counts records that are durable, in a row behind a position.
func (b *tenantBytes) noteAll(items []item, head uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(items) > 0 {
		token, run, n := cutTenant(items)
		b.addLocked(&b.live, token, head+1, head+uint64(run), n)
		items, head = items[run:], head+uint64(run)
	}
}

// cutTenant says how many items at the front are of one tenant, and what they take.
func cutTenant(items []item) (token string, run int, bytes int64) {
	token = tenantOf(items[0].subject)
	for run < len(items) && (run == 0 || tenantOf(items[run].subject) == token) {
		bytes += int64(len(items[run].subject) + len(items[run].line) + messageOverhead)
		run++
	}
	return token, run, bytes
}

// addLocked counts n bytes of a tenant at these positions.
func (b *tenantBytes) addLocked(s *series, token string, first, last uint64, n int64) {
	h := b.holdingLocked(token)
	h.bytes += n
	at := s.at(first)
	at.last = last
	at.size += n
	at.bytes[h] += n
}

// at is the stretch for the next record.
func (s *series) at(position uint64) *stretch {
	if s.size == 0 {
		s.size = firstStretch
	}
	n := len(s.stretches)
	if n > 0 && s.stretches[n-1].size < s.size {
		return &s.stretches[n-1]
	}
	if n == mostStretches {
		s.merge()
		n = len(s.stretches)
	}
	s.stretches = append(s.stretches, stretch{first: position, bytes: make(map[*holding]int64)})
	return &s.stretches[n]
}

// merge makes one of each two that are neighbours, and the next ones twice as large.
func (s *series) merge() {
	half := s.stretches[:0]
	for i := 0; i+1 < mostStretches; i += 2 {
		one, next := s.stretches[i], &s.stretches[i+1]
		one.last, one.size = next.last, one.size+next.size
		for h, n := range next.bytes {
			one.bytes[h] += n
		}
		half = append(half, one)
	}
	clear(s.stretches[len(half):])
	s.stretches, s.size = half, 2*s.size
}

// trim forgets what lies before a position, where the log begins now.
func (b *tenantBytes) trim(first uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.found.trim(first)
	b.live.trim(first)
	for token, h := range b.all {
		if h.bytes <= 0 && h.records == 0 {
			delete(b.all, token)
		}
	}
}

// trim takes whole stretches, and of the one in which the log begins as much as its positions
// say: what each tenant has of it is taken to be spread evenly.
func (s *series) trim(first uint64) {
	gone := 0
	for gone < len(s.stretches) && s.stretches[gone].last < first {
		s.stretches[gone].shrink(0)
		gone++
	}
	clear(s.stretches[:gone])
	s.stretches = s.stretches[gone:]
	if len(s.stretches) == 0 {
		s.stretches = nil
		return
	}
	if at := &s.stretches[0]; at.first < first {
		at.shrink(float64(at.last-first+1) / float64(at.last-at.first+1))
		at.first = first
	}
}

// shrink leaves a part of a stretch.
func (t *stretch) shrink(part float64) {
	for h, n := range t.bytes {
		left := int64(float64(n) * part)
		h.bytes -= n - left
		t.bytes[h] = left
		t.size -= n - left
	}
}

// noteShared counts records that this node has stored in a log that others write, too.
func (b *tenantBytes) noteShared(items []item) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(items) > 0 {
		token, run, n := cutTenant(items)
		h := b.holdingLocked(token)
		h.bytes += n
		h.stored += n
		h.records += int64(run)
		items = items[run:]
	}
}

// ask has the log say how many records it has of the tenants that somebody has asked for, of
// which this node has stored some. count is that question.
func (b *tenantBytes) ask(count func(token string) (records uint64, err error)) {
	for _, token := range b.wanted() {
		records, err := count(token)
		if err != nil { // the next time, which is soon
			b.want(token)
			continue
		}
		b.asked = time.Now()
		b.told(token, records)
	}
}

func (b *tenantBytes) wanted() (tokens []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for token, h := range b.all {
		if h.wanted && h.records > 0 {
			h.wanted, h.base = false, h.stored
			tokens = append(tokens, token)
		}
	}
	return tokens
}

// want has the log asked of a tenant.
func (b *tenantBytes) want(token string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h := b.all[token]; h != nil {
		h.wanted = true
	}
}

// told sets what a tenant holds: so many records of the size that its own have on average, and
// what was stored since the log was asked.
func (b *tenantBytes) told(token string, records uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if h := b.all[token]; h != nil {
		h.bytes = int64(float64(records)*float64(h.stored)/float64(h.records)) + h.stored - h.base
	}
}

// StoredBytes is how many bytes of the log a tenant holds, as far as this node knows: of a log
// that others write too it is an estimate. Any goroutine may call it.
func (l *Log) StoredBytes(tenant string) int64 { return l.tenants.of(tenant) }

// noteTenants keeps up with retention; state is of the log now.
func (l *Log) noteTenants(state *jetstream.StreamState) {
	if l.alone {
		l.tenants.trim(state.FirstSeq)
		return
	}
	if time.Since(l.tenants.asked) < askEvery {
		return
	}
	l.tenants.ask(func(token string) (records uint64, err error) {
		ctx, cancel := context.WithTimeout(l.ctx, answerTimeout)
		defer cancel()
		info, err := l.srv.Info(ctx, l.logWas.Name, jetstream.WithSubjectFilter(names.Up+token+".>"))
		if err != nil {
			return 0, err
		}
		for _, n := range info.State.Subjects {
			records += n
		}
		return records, nil
	})
}
