package blocks

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"io"

	"github.com/minio/highwayhash"
)

// Kind says what a record is.
type Kind uint8

const (
	// Message is a message of the stream.
	Message Kind = iota
	// Tombstone says that the message with its sequence was deleted, or that the
	// stream has come as far as that; it may stand in a later block.
	Tombstone
	// Erased is a message that was overwritten, with its sequence.
	Erased
)

// Record is one record of a block. Its slices are borrowed from the data of NewReader.
type Record struct {
	Kind    Kind
	Seq     uint64
	Time    int64 // when it was stored, Unix nanoseconds; 0 for what was erased
	Subject []byte
	Header  []byte // nil: none
	Data    []byte
	Offset  int // in the block
	Size    int // in the block
}

// Reason says why bytes are not a record.
type Reason uint8

const (
	// BadCut is a record whose end is missing.
	BadCut Reason = iota
	// BadLength is a length that no record has.
	BadLength
	// BadChecksum is a record whose bytes are not those that were written.
	BadChecksum

	numReasons
)

// String returns the reason in words.
func (r Reason) String() string {
	return [numReasons]string{"the record is cut off", "no record has such a length", "the checksum does not match"}[r]
}

// BadError says that a block holds something that is not a record.
type BadError struct {
	Reason Reason
	Offset int    // where it begins
	Next   int    // where the next sound record begins; the length of the block if there is none
	Seq    uint64 // what it says its sequence is, if its header is whole; not to be relied on
	// Subject is what it says its subject is; not reliable, borrowed like a record's.
	Subject []byte
	// Whole says that exactly one record is bad: the next begins where its length says.
	Whole bool
}

func (e *BadError) Error() string {
	return fmt.Sprintf("blocks: bytes %d to %d: %s", e.Offset, e.Next, e.Reason)
}

const (
	headSize = 22
	hashSize = 8
	// MinSize is the size of a record without subject and message.
	MinSize = headSize + hashSize

	hasHeader = 1 << 31
	erasedBit = 1 << 63
	tombBit   = 1 << 62
	// maxSize is the largest record that the store accepts.
	maxSize = 32 << 20
	// MaxBlock is more than the store puts into one block.
	MaxBlock = maxSize + 8<<20
	// seekBudget bounds the search for sound records: it hashes at most so many times the
	// length of the block.
	seekBudget = 16
)

var headerStart, headerEnd = []byte("NATS/1.0"), []byte("\r\n\r\n")

// Reader reads one block.
type Reader struct {
	// Immutable after construction.
	data []byte

	// Owned by the caller of Next.
	hash   hash.Hash64
	off    int
	budget int // bytes that may still be hashed in search of a record
}

// NewReader returns a reader of the block with that index of a stream. data is borrowed for as
// long as the Reader and its records are used.
func NewReader(stream string, index uint32, data []byte) *Reader {
	return &Reader{data: data, hash: blockHash(stream, index), budget: seekBudget * len(data)}
}

func blockHash(stream string, index uint32) hash.Hash64 {
	return hashOf(fmt.Sprintf("%s-%d", stream, index))
}

func hashOf(name string) hash.Hash64 {
	key := sha256.Sum256([]byte(name))
	h, err := highwayhash.New64(key[:])
	if err != nil {
		panic(err) // only a key of another length
	}
	return h
}

// MetaSum returns the checksum that the store keeps beside the metadata of a stream.
func MetaSum(stream string, meta []byte) string {
	h := hashOf(stream)
	_, _ = h.Write(meta) // never fails
	return hex.EncodeToString(h.Sum(nil))
}

// Next returns the next record, io.EOF behind the last one, or a *BadError for bytes that are
// not a record; the following call goes on behind them.
func (r *Reader) Next() (Record, error) {
	if r.off >= len(r.data) {
		return Record{}, io.EOF
	}
	rec, reason, ok := r.at(r.off)
	if ok {
		r.off += rec.Size
		return rec, nil
	}
	bad := &BadError{Reason: reason, Offset: r.off, Seq: rec.Seq, Subject: rec.Subject}
	if end := r.off + rec.Size; rec.Size > 0 && (end == len(r.data) && reason == BadChecksum || r.sound(end)) {
		bad.Next, bad.Whole = end, true
	} else {
		bad.Next = r.seek(r.off + 1)
	}
	r.off = bad.Next
	return Record{}, bad
}

// sound says whether a record begins at off.
func (r *Reader) sound(off int) bool {
	_, _, ok := r.at(off)
	return ok
}

// seek looks for the next sound record from off on.
func (r *Reader) seek(off int) int {
	for ; off+MinSize <= len(r.data); off++ {
		rec, reason, ok := r.at(off)
		if ok {
			return off
		}
		if reason == BadChecksum {
			if r.budget -= rec.Size; r.budget < 0 {
				break
			}
		}
	}
	return len(r.data)
}

// at reads the record at off. If it is not sound, at returns what can be read, with Size 0 if
// the size is not known.
func (r *Reader) at(off int) (rec Record, why Reason, ok bool) {
	data := r.data[off:]
	rec.Offset = off
	if len(data) < headSize {
		return rec, BadCut, false
	}
	total := binary.LittleEndian.Uint32(data)
	size := int(total &^ hasHeader)
	seq := binary.LittleEndian.Uint64(data[4:])
	rec.Seq = seq &^ (erasedBit | tombBit)
	rec.Time = int64(binary.LittleEndian.Uint64(data[12:])) //nolint:gosec // as the store wrote it
	subject := int(binary.LittleEndian.Uint16(data[20:]))
	least := MinSize + subject
	if total&hasHeader != 0 {
		least += 4
	}
	if size < least || size > maxSize {
		return rec, BadLength, false
	}
	if size > len(data) {
		return rec, BadCut, false
	}
	rec.Size = size
	body := data[headSize : size-hashSize]
	rec.Subject, rec.Data = body[:subject], body[subject:]
	r.hash.Reset()
	_, _ = r.hash.Write(data[4:20]) // never fails
	if total&hasHeader != 0 {
		_, _ = r.hash.Write(rec.Subject)
		rec.Data = rec.Data[4:]
	}
	if total&hasHeader != 0 {
		_, _ = r.hash.Write(rec.Data)
	} else {
		_, _ = r.hash.Write(body)
	}
	if r.hash.Sum64() != binary.LittleEndian.Uint64(data[size-hashSize:]) {
		return rec, BadChecksum, false
	}
	switch {
	case seq&tombBit != 0:
		rec.Kind = Tombstone
	case seq&erasedBit != 0 || seq == 0:
		rec.Kind = Erased
	case !splitHeader(&rec, body[subject:], total&hasHeader != 0) || !plain(rec.Subject):
		return rec, BadChecksum, false // a length is wrong that the checksum does not cover
	}
	return rec, 0, true
}

// splitHeader cuts the header off the message.
func splitHeader(rec *Record, rest []byte, has bool) bool {
	if !has {
		return true
	}
	n := binary.LittleEndian.Uint32(rest)
	if uint64(n) > uint64(len(rec.Data)) {
		return false
	}
	rec.Header, rec.Data = rec.Data[:n:n], rec.Data[n:]
	return bytes.HasPrefix(rec.Header, headerStart) && bytes.HasSuffix(rec.Header, headerEnd)
}

// plain says that b can be a subject.
func plain(b []byte) bool {
	for _, c := range b {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return len(b) > 0
}

// AppendErased appends a record of exactly size bytes that declares the message of a sequence
// erased. In place of a bad record it keeps the store from cutting off everything behind.
func AppendErased(dst []byte, stream string, index uint32, seq uint64, size int) []byte {
	from := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(size)) //nolint:gosec // of a record
	dst = binary.LittleEndian.AppendUint64(dst, seq|erasedBit)
	dst = append(dst, make([]byte, size-hashSize-(len(dst)-from))...)
	h := blockHash(stream, index)
	_, _ = h.Write(dst[from+4 : from+20]) // never fails
	_, _ = h.Write(dst[from+headSize:])
	return h.Sum(dst)
}
