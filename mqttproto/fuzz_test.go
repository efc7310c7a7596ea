package mqttproto_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"edgeloop/mqttproto"
)

// lenient are the faults that the library lets pass, some or all of them.
var lenient = []*mqttproto.Error{
	mqttproto.ErrLength, mqttproto.ErrTruncated, mqttproto.ErrTrailing, mqttproto.ErrPacketID, mqttproto.ErrReason,
	mqttproto.ErrVersion, mqttproto.ErrWillQoS, mqttproto.ErrWillTopic, mqttproto.ErrPasswordAlone, mqttproto.ErrClientIDEmpty, mqttproto.ErrUserName,
	mqttproto.ErrPropertyTwice, mqttproto.ErrPropertyValue, mqttproto.ErrResponseTopic, mqttproto.ErrAuthData, mqttproto.ErrAuthMethod,
	mqttproto.ErrFilterEmpty, mqttproto.ErrFilterHash, mqttproto.ErrFilterPlus, mqttproto.ErrShareName, mqttproto.ErrShareFilter,
	mqttproto.ErrShareNoLocal, mqttproto.ErrOptions, mqttproto.ErrRetainHandling,
}

// stricter says whether the library refuses what the specification allows: an empty
// password or Will.
func stricter(m any) bool {
	c, ok := m.(mqttproto.Connect)
	return ok && (c.HasPassword && len(c.Password) == 0 || c.Will.Set && len(c.Will.Payload) == 0)
}

// overlooked says whether the library does not look at what is there: the reason code of
// a DISCONNECT without properties.
func overlooked(in []byte) bool { return len(in) == 3 && in[0] == 0xe0 }

// packet is what became of one packet.
type packet struct {
	line string
	err  error
}

// read decodes a stream that arrives in pieces cut at the places given, as a connection
// does, and stops at the first fault.
func read(in []byte, v mqttproto.Version, cuts []int, each func(whole []byte, v mqttproto.Version, m any, err error)) (out []packet) {
	var held []byte
	from, more := 0, 1
	for _, to := range append(cuts, len(in)) {
		held = append(held, in[from:to]...)
		from = to
		for len(held) >= more {
			p, n, missing, err := mqttproto.Next(held, v, limit)
			if err != nil {
				return append(out, packet{"", err})
			}
			if more = len(held) + missing; n == 0 {
				break
			}
			was := v
			m, err := decode(held, v, aliases)
			if c, ok := m.(mqttproto.Connect); ok && err == nil {
				v = c.Version
			}
			if each != nil {
				each(held[:n:n], was, m, err)
			}
			if err != nil {
				return append(out, packet{"", err})
			}
			out = append(out, packet{ownLine(p.Type, m), nil})
			held, more = held[n:], 1
		}
	}
	return out
}

// Any bytes mean the same to this package and to the packet library of mochi-mqtt, except
// for the faults that the library is known to let pass; and the same however they are cut.
// A PUBLISH that is encoded again is what it was.
func FuzzPackets(f *testing.F) {
	for _, list := range [][]fault{faultsAny(), faultsConnect(), faultsPublish(), faultsSubscribe(), faultsControl(), faultsProperty()} {
		for _, c := range list {
			f.Add(c.in, byte(c.v), []byte{30, 99})
		}
	}
	f.Add(slices.Concat(connect(v5, 2, str("a")), wire(0x32, str("a/b"), u16(1), raw(0), tail("x")), raw(0xc0, 0), wire(0xe0)), byte(0), []byte{1, 50, 200})
	f.Fuzz(func(t *testing.T, in []byte, version byte, seed []byte) {
		v := []mqttproto.Version{v0, v4, v5}[version%3]
		if version == 4 || version == 5 {
			v = mqttproto.Version(version)
		}
		whole := read(in, v, nil, func(b []byte, v mqttproto.Version, m any, err error) { compare(t, b, v, m, err) })
		split := read(in, v, cuts(seed, len(in)), nil)
		if !slices.Equal(whole, split) {
			t.Errorf("%x cut at %v\nwhole %v\nsplit %v", in, cuts(seed, len(in)), whole, split)
		}
	})
}

// cuts draws places to cut n bytes at from the seed.
func cuts(seed []byte, n int) (out []int) {
	for _, b := range seed {
		out = append(out, int(b)*n/256)
	}
	slices.Sort(out)
	return out
}

func compare(t *testing.T, in []byte, v mqttproto.Version, m any, err error) {
	t.Helper()
	theirs, theirErr := library(in, v)
	switch {
	case overlooked(in):
	case err == nil && theirErr != nil:
		if !stricter(m) {
			t.Errorf("%x: the library refuses it: %v", in, theirErr)
		}
	case err != nil && theirErr == nil:
		if !slices.ContainsFunc(lenient, func(e *mqttproto.Error) bool { return errors.Is(err, e) }) {
			t.Errorf("%x: refused with %v, the library reads %s", in, err, theirs)
		}
	case err == nil:
		if ours := ownLine(mqttproto.Type(in[0]>>4), m); strings.TrimSpace(ours) != strings.TrimSpace(theirs) {
			t.Errorf("%x\nours   %s\ntheirs %s", in, ours, theirs)
		}
	}
	if p, ok := m.(mqttproto.Publish); ok && err == nil {
		again, ok := mqttproto.AppendPublish(nil, mqttproto.Peer{Version: v, MaxPacket: uint32(len(in))}, &p)
		if !ok || !bytes.Equal(again, in) && v == v5 {
			t.Errorf("%x is encoded as %x", in, again)
		}
	}
}
