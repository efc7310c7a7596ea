package conformance_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// viable says whether b can still become valid UTF-8, by the slow and obvious
// way: it is valid but for a last character that is incomplete.
func viable(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 {
			return !utf8.FullRune(b)
		}
		b = b[n:]
	}
	return true
}

// fatal is the number of bytes after which s is lost; 0 if it is valid, and its
// length if it ends too early.
func fatal(s string) int {
	for n := 1; n <= len(s); n++ {
		if !viable([]byte(s[:n])) {
			return n
		}
	}
	if utf8.ValidString(s) {
		return 0
	}
	return len(s)
}

// textCases are all ways of sending one string, valid or not.
func textCases(id, name, s string) []testCase {
	at := fatal(s)
	name = fmt.Sprintf("%s %q", name, s)
	if len(name) > 100 {
		name = name[:100] + "…"
	}
	if at == 0 {
		return []testCase{
			{id: id + ".a", name: name, send: textFrame(s), want: echoes(text(s))},
			{id: id + ".b", name: name + " in fragments of a byte", send: fragments(opText, []byte(s), 1), want: echoes(text(s))},
			{id: id + ".c", name: name + " with pings between", send: pinged(s), want: append(times(len(s), pong("")), text(s))},
		}
	}
	lost := []byte(s[:at])
	cases := []testCase{
		// A frame of which the rest never comes: failed at the byte that spoils it.
		{id: id + ".a", name: name + ", failed inside the frame", send: begun(fin|opText, len(s), lost), end: fail(1007)},
		{id: id + ".b", name: name + ", failed inside fragments of a byte", send: begunFragments(lost, at == len(s) && viable(lost)), end: fail(1007)},
		{id: id + ".c", name: name + ", behind a message", send: join(textFrame("before"), textFrame(s)), want: echoes(text("before")), end: fail(1007)},
	}
	if !viable(lost) { // in a fragment that is not the last one, too
		cases = append(cases,
			testCase{id: id + ".d", name: name + ", failed in a fragment that is not the last", send: frame(opText, lost), end: fail(1007)},
			testCase{
				id: id + ".e", name: name + ", a ping before the byte that spoils it",
				send: join(frame(opText, lost[:at-1]), pingFrame("still fine"), begun(0, 10, lost[at-1:])), want: echoes(pong("still fine")), end: fail(1007),
			},
			testCase{id: id + ".f", name: name + ", failed inside a frame that would be huge", send: begun(fin|opText, 10<<20, lost), end: fail(1007)})
	}
	return cases
}

// pinged is s in fragments of a byte with a ping behind each.
func pinged(s string) []byte {
	if s == "" {
		return textFrame("")
	}
	b := frame(opText, nil)
	for i := range len(s) {
		b = append(b, join(frame(opContinuation, []byte(s[i:i+1])), pingFrame(""))...)
	}
	return append(b, frame(fin, nil)...)
}

// begunFragments is b in fragments of a byte; last says whether the message
// ends with it.
func begunFragments(b []byte, last bool) []byte {
	wire := frame(opText, nil)
	for i := range b {
		head := byte(opContinuation)
		if last && i == len(b)-1 {
			head |= fin
		}
		wire = append(wire, frame(head, b[i:i+1])...)
	}
	return wire
}

// Section 6: text is UTF-8, and what is not is refused at once. The groups and
// their order are those of the suite. [RFC6455 5.6] [RFC6455 8.1]
func TestSection6_UTF8(t *testing.T) {
	const greek = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"
	groups := [][]string{ // from 6.1 on
		{"", "x"},
		{"Hello-µ@ßöäüàá-UTF-8!!", greek},
		{greek + "\xed\xa0\x80edited", greek + "\xf8\x88\x80\x80\x80edited"},
		{greek + "\xf4\x90\x80\x80edited", greek + "\xf4\x90", greek + "\xed\xa0", greek + "\xc0"},
		{greek, "\u00e4\u00f6\u00fc", "\u4f60\u597d", "\U0001f600", "a\u0300"},
		prefixes(greek),
		{"\x00", "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80"},
		{"\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80"},
		{"\x7f", "\xdf\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"},
		{"\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf"},
		{"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", "\xf4\x8f\xbf\xbf", "\xf4\x90\x80\x80"},
		{"\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80", "\x80\xbf\x80\xbf", "\x80\xbf\x80\xbf\x80", "\x80\xbf\x80\xbf\x80\xbf", each(0x80, 0xbf, "")},
		{each(0xc0, 0xdf, " "), each(0xe0, 0xef, " "), each(0xf0, 0xf7, " "), each(0xf8, 0xfb, " "), each(0xfc, 0xfd, " ")},
		{
			"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xfc\x80\x80\x80\x80",
			"\xdf", "\xef\xbf", "\xf7\xbf\xbf", "\xfb\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf",
		},
		{"\xc0\xe0\x80\xf0\x80\x80\xf8\x80\x80\x80\xfc\x80\x80\x80\x80\xdf\xef\xbf\xf7\xbf\xbf\xfb\xbf\xbf\xbf\xfd\xbf\xbf\xbf\xbf"},
		{"\xfe", "\xff", "\xfe\xfe\xff\xff"},
		{"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf"},
		{"\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf8\x87\xbf\xbf\xbf", "\xfc\x83\xbf\xbf\xbf\xbf"},
		{"\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf8\x80\x80\x80\x80", "\xfc\x80\x80\x80\x80\x80"},
		{"\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf"},
		{
			"\xed\xa0\x80\xed\xb0\x80", "\xed\xa0\x80\xed\xbf\xbf", "\xed\xad\xbf\xed\xb0\x80", "\xed\xad\xbf\xed\xbf\xbf",
			"\xed\xae\x80\xed\xb0\x80", "\xed\xae\x80\xed\xbf\xbf", "\xed\xaf\xbf\xed\xb0\x80", "\xed\xaf\xbf\xed\xbf\xbf",
		},
		nonCharacters(),
		{"\ufff9", "\ufffa", "\ufffb", "\ufffc", "\ufffd", "\ufffe", "\uffff"},
	}
	var cases []testCase
	for g, group := range groups {
		for i, s := range group {
			cases = append(cases, textCases(fmt.Sprintf("6.%d.%d", g+1, i+1), "text", s)...)
		}
	}
	cases = append(cases,
		testCase{id: "6.1.3", name: "empty fragments around a full one", send: join(frame(opText, nil), frame(0, []byte("middle frame payload")), frame(fin, nil)), want: echoes(text("middle frame payload"))},
		testCase{id: "6.1.4", name: "three empty fragments", send: join(frame(opText, nil), frame(0, nil), frame(fin, nil)), want: echoes(text(""))},
		testCase{id: "6.2.3", name: "two fragments, cut between characters", send: join(frame(opText, []byte("Hello-µ@ßöä")), frame(fin, []byte("üàá-UTF-8!!"))), want: echoes(text("Hello-µ@ßöäüàá-UTF-8!!"))},
		testCase{id: "6.24.1", name: "binary may be anything", send: binFrame([]byte("\xff\xfe\xed\xa0\x80")), want: echoes(bin([]byte("\xff\xfe\xed\xa0\x80")))},
		testCase{id: "6.24.2", name: "what was incomplete does not spoil the next message", send: join(textFrame("ok"), binFrame([]byte{0xe2}), textFrame("\x82")), want: echoes(text("ok"), bin([]byte{0xe2})), end: fail(1007)},
	)
	run(t, cases)
}

// Each character of the planes' borders, split over frames at each of its bytes.
func TestSection6_SplitCharacters(t *testing.T) {
	var cases []testCase
	for i, r := range []rune{0x7f, 0x80, 0x7ff, 0x800, 0xd7ff, 0xe000, 0xfffd, 0xffff, 0x10000, 0x3ffff, 0x40000, 0xfffff, 0x10ffff} {
		s := string(r)
		for at := 1; at < len(s); at++ {
			cases = append(cases, testCase{
				id: fmt.Sprintf("6.25.%d.%d", i+1, at), name: fmt.Sprintf("%U cut after %d bytes", r, at),
				send: join(frame(opText, []byte("<"+s[:at])), pingFrame("between"), frame(fin, []byte(s[at:]+">"))),
				want: echoes(pong("between"), text("<"+s+">")),
			})
		}
	}
	run(t, cases)
}

func prefixes(s string) (all []string) {
	for n := 1; n <= len(s); n++ {
		all = append(all, s[:n])
	}
	return all
}

// each is every byte from first to last, with sep behind each.
func each(first, last byte, sep string) string {
	var b strings.Builder
	for c := int(first); c <= int(last); c++ {
		b.WriteByte(byte(c))
		b.WriteString(sep)
	}
	return b.String()
}

// nonCharacters are valid UTF-8 all the same.
func nonCharacters() (all []string) {
	for plane := rune(0); plane <= 16; plane++ {
		all = append(all, string(plane<<16|0xfffe), string(plane<<16|0xffff))
	}
	return all
}
