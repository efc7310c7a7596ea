package conformance_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// Section 7: the closing handshake. [RFC6455 5.5.1] [RFC6455 7]
func TestSection7_Close(t *testing.T) {
	empty := frame(fin|opClose, nil)
	big := bytes.Repeat([]byte("*"), 256<<10)
	reason := strings.Repeat("*", 123)
	cases := []testCase{
		{id: "7.1.1", name: "a message, then close", send: join(textFrame("Hello World!"), closeFrame(1000, "")), want: echoes(text("Hello World!")), end: closedWith(1000)},
		{id: "7.1.2", name: "two closes", send: closeFrame(1000, ""), tail: closeFrame(1001, ""), end: closedWith(1000)},
		{id: "7.1.3", name: "a ping behind the close", send: closeFrame(1000, ""), tail: pingFrame(""), end: closedWith(1000)},
		{id: "7.1.4", name: "a message behind the close", send: closeFrame(1000, ""), tail: textFrame("too late"), end: closedWith(1000)},
		{id: "7.1.5", name: "a close between fragments", send: join(frame(opText, []byte("fragment1")), closeFrame(1000, "")), tail: frame(fin, []byte("fragment2")), end: closedWith(1000)},
		{id: "7.1.6", name: "256 KiB, a close, a ping", send: join(textFrame(string(big)), closeFrame(1000, "")), tail: pingFrame(""), want: echoes(text(string(big))), end: closedWith(1000)},
		{id: "7.1.7", name: "garbage behind the close", send: closeFrame(1000, ""), tail: []byte("\xff\xff\xff\xff\xff"), end: closedWith(1000)},
		{id: "7.3.1", name: "an empty close", send: empty, end: closed(nil)},
		{id: "7.3.2", name: "a close of one byte", send: frame(fin|opClose, []byte{3}), end: fail(1002)},
		{id: "7.3.3", name: "a close with a code", send: closeFrame(1000, ""), end: closedWith(1000)},
		{id: "7.3.4", name: "a close with a code and a reason", send: closeFrame(1000, "Hello World!"), end: closedWith(1000)},
		{id: "7.3.5", name: "a reason of 123 bytes", send: closeFrame(1000, reason), end: closedWith(1000)},
		{id: "7.3.6", name: "a reason of 124 bytes", send: header(fin|opClose, 126, minimal), end: fail(1002), tail: make([]byte, 130)},
		{id: "7.5.1", name: "a reason that is not UTF-8", send: closeFrame(1000, "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited"), end: fail(1007)},
		{id: "7.5.2", name: "a reason that ends inside a character", send: closeFrame(1000, "\xe2\x82"), end: fail(1007)},
		{id: "7.5.3", name: "a reason with every kind of character", send: closeFrame(1000, "aµ€\U0001f600\x00"), end: closedWith(1000)},
		{id: "7.5.4", name: "one byte of a code that is never right, in a reason too", send: closeFrame(1005, "\xff"), end: fail(1002)},
	}
	for i, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4500, 4999} {
		cases = append(cases, testCase{id: fmt.Sprintf("7.7.%d", i+1), name: fmt.Sprint("close code ", code), send: closeFrame(code, ""), end: closedWith(code)})
	}
	for i, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 32768, 65535} { // [RFC6455 7.4]
		cases = append(cases,
			testCase{id: fmt.Sprintf("7.9.%d", i+1), name: fmt.Sprint("close code ", code), send: closeFrame(code, ""), end: fail(1002)},
			testCase{id: fmt.Sprintf("7.9.%d.1", i+1), name: fmt.Sprintf("close code %d with a reason, behind a message", code), send: join(textFrame("x"), closeFrame(code, "why")), want: echoes(text("x")), end: fail(1002)})
	}
	run(t, cases)
}
