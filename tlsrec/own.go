package tlsrec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
)

// The record layer of TLS 1.3 after the handshake. [RFC8446 5] A connection that is idle
// keeps two secrets and two counters here; ciphers are made of the secrets when it
// speaks, and kept as long as it goes on (Cache).

const (
	// maxPlain is the longest content of a record, maxSealed the longest payload.
	// [RFC8446 5.1] [RFC8446 5.2]
	maxPlain  = 1 << 14
	maxSealed = maxPlain + 256
	// uselessMost is how many records without data may come in a row.
	uselessMost = 16
	// keyRecords is how many records we seal with one key, and read before we ask for
	// another; 2^24.5 is what AES-GCM carries. [RFC8446 5.5]
	keyRecords = 1 << 24
)

// The types of records and messages. [RFC8446 B.1] [RFC8446 B.3]
const (
	typeChangeCipherSpec = 20
	typeAlert            = 21
	typeApplication      = 23
	typeKeyUpdate        = 24
)

// An alert ends the connection, and is told the peer. [RFC8446 B.2]
type alert uint8

const (
	alertCloseNotify       alert = 0
	alertUnexpectedMessage alert = 10
	alertBadRecordMAC      alert = 20
	alertRecordOverflow    alert = 22
	alertIllegalParameter  alert = 47
	alertUserCanceled      alert = 90
)

func (a alert) Error() string { return fmt.Sprintf("tlsrec: local alert %d", uint8(a)) }

// errRemote says that the peer gave up.
var errRemote = errors.New("tlsrec: the peer sent an alert")

// half is one direction.
type half struct {
	secret [48]byte // as many of it as the suite's hash has
	seq    uint64
}

// records are both directions.
type records struct {
	suite   *suite
	in, out half
	live    *ciphers // nil: to be made of the secrets
	cache   *Cache
	limit   uint64  // keyRecords, or less in tests
	useless uint8   // records without data, in a row
	part    [5]byte // of a KeyUpdate that came in pieces
	parts   uint8
	asked   bool  // the peer is to update its key, and has not yet
	spoke   bool  // since the cache was swept
	makes   uint8 // how often ciphers were made lately, and the last time, in sweeps
	made    uint16
	place   uint16 // in the cache, from 1 on; 0 without ciphers there
}

// open reads one record in place: plain lies in its memory. reply is appended to dst.
func (r *records) open(dst, record []byte) (plain, reply []byte, err error) {
	plain, kind, err := r.decrypt(record)
	reply = dst
	if err == nil {
		reply, err = r.take(dst, kind, plain)
	}
	if kind != typeApplication || err != nil {
		plain = nil
	}
	switch {
	case err != nil:
		reply = r.giveUp(reply, err)
	case r.in.seq >= r.limit && !r.asked:
		r.asked = true
		reply = r.update(reply, 1)
	}
	return plain, reply, err
}

// giveUp appends the alert that an error is, if it is one.
func (r *records) giveUp(dst []byte, err error) []byte {
	var a alert
	if errors.As(err, &a) {
		dst = r.seal(dst, typeAlert, []byte{2, byte(a)})
	}
	return dst
}

// decrypt is the content of a record and its type. [RFC8446 5.2]
func (r *records) decrypt(record []byte) (plain []byte, kind byte, err error) {
	switch n := len(record) - headerLen; {
	case record[0] != typeApplication: // nothing else after Finished [RFC8446 5]
		return nil, 0, alertUnexpectedMessage
	case n > maxSealed || n != int(binary.BigEndian.Uint16(record[3:])):
		return nil, 0, alertRecordOverflow
	case r.in.seq >= 2*r.limit: // it was asked for another key long ago
		return nil, 0, alertUnexpectedMessage
	}
	c := r.ciphers()
	plain, err = c.in.aead.Open(record[headerLen:headerLen], c.in.nonce(r.in.seq), record[headerLen:], record[:headerLen])
	if err != nil {
		return nil, 0, alertBadRecordMAC
	}
	r.in.seq++
	if len(plain) > maxPlain+1 {
		return nil, 0, alertRecordOverflow
	}
	for i := len(plain) - 1; i >= 0; i-- { // padding [RFC8446 5.4]
		if plain[i] != 0 {
			return plain[:i], plain[i], nil
		}
	}
	return nil, 0, alertUnexpectedMessage
}

// take looks at a record's content; what it asks for is appended to dst.
func (r *records) take(dst []byte, kind byte, plain []byte) ([]byte, error) {
	if r.parts > 0 && kind != typeHandshake { // [RFC8446 5.1]
		return dst, alertUnexpectedMessage
	}
	switch {
	case kind == typeApplication && len(plain) > 0:
		r.useless = 0
		return dst, nil
	case r.useless >= uselessMost:
		return dst, alertUnexpectedMessage
	}
	r.useless++
	switch kind {
	case typeApplication:
		return dst, nil
	case typeAlert:
		return dst, hear(plain)
	case typeHandshake:
		return r.post(dst, plain)
	}
	return dst, alertUnexpectedMessage
}

// hear is about an alert. [RFC8446 6]
func hear(plain []byte) error {
	switch {
	case len(plain) != 2:
		return alertUnexpectedMessage
	case alert(plain[1]) == alertCloseNotify:
		return io.EOF
	case alert(plain[1]) == alertUserCanceled: // to be ignored, and close_notify follows
		return nil
	}
	return fmt.Errorf("%w: %d", errRemote, plain[1])
}

// post takes a message of the handshake after the handshake: a client may send KeyUpdate
// alone. Nothing may follow it in its record, because that would be under the old key.
// [RFC8446 4.6.3] [RFC8446 5.1]
func (r *records) post(dst, plain []byte) ([]byte, error) {
	if len(plain) == 0 || len(plain) > len(r.part)-int(r.parts) {
		return dst, alertUnexpectedMessage
	}
	r.parts += uint8(copy(r.part[r.parts:], plain)) //nolint:gosec // at most 5
	for i, want := range [4]byte{typeKeyUpdate, 0, 0, 1} {
		if i < int(r.parts) && r.part[i] != want {
			return dst, alertUnexpectedMessage
		}
	}
	if int(r.parts) < len(r.part) {
		return dst, nil
	}
	r.parts = 0
	request := r.part[4]
	if request > 1 {
		return dst, alertIllegalParameter
	}
	r.suite.advance(&r.in)
	r.drop()
	r.asked = false
	if request == 1 {
		dst = r.update(dst, 0)
	}
	return dst, nil
}

// update appends a KeyUpdate, which asks for one of the peer or not, and goes on with the
// next key. [RFC8446 4.6.3]
func (r *records) update(dst []byte, request byte) []byte {
	dst = r.sealOne(dst, typeHandshake, []byte{typeKeyUpdate, 0, 0, 1, request})
	r.suite.advance(&r.out)
	r.drop()
	return dst
}

// seal appends plain as records of a type, under another key where the one at hand has
// sealed enough.
func (r *records) seal(dst []byte, kind byte, plain []byte) []byte {
	for len(plain) > 0 {
		if r.out.seq+1 >= r.limit { // the KeyUpdate itself is under the old key
			dst = r.update(dst, 0)
		}
		n := min(len(plain), maxPlain)
		dst = r.sealOne(dst, kind, plain[:n])
		plain = plain[n:]
	}
	return dst
}

func (r *records) sealOne(dst []byte, kind byte, plain []byte) []byte {
	c := r.ciphers()
	n := len(plain) + 1 + c.out.aead.Overhead()
	dst = slices.Grow(dst, headerLen+n)
	at := len(dst)
	dst = append(dst, typeApplication, 3, 3, byte(n>>8), byte(n))
	body := len(dst)
	dst = append(append(dst, plain...), kind)
	dst = c.out.aead.Seal(dst[:body], c.out.nonce(r.out.seq), dst[body:], dst[at:body])
	r.out.seq++
	return dst
}

// ciphers are those of the secrets.
func (r *records) ciphers() *ciphers {
	r.spoke = true
	if r.live == nil {
		r.live = r.suite.ciphers(&r.in, &r.out)
		r.cache.keep(r)
	}
	return r.live
}

// drop forgets ciphers whose secrets have changed.
func (r *records) drop() { r.live = nil }

// wipe forgets the secrets.
func (r *records) wipe() {
	r.drop()
	clear(r.in.secret[:])
	clear(r.out.secret[:])
	r.cache.forget(r)
}
