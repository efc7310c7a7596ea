//go:build invariants || race

package eventloop

import (
	"bytes"
	"runtime"
	"strconv"
)

// goid is the id of the loop's goroutine, 0 before its first connection.
type goid uint64

// adoptLoop remembers which goroutine the loop is.
func (l *loop) adoptLoop() {
	if l.goid == 0 {
		l.goid = currentGoid()
	}
}

// assertOnLoop panics when called from any goroutine but the loop's own.
func (l *loop) assertOnLoop() {
	if id := currentGoid(); l.goid != 0 && id != l.goid {
		panic("eventloop: an OnLoop method was called from goroutine " + strconv.FormatUint(uint64(id), 10))
	}
}

func currentGoid() goid {
	var buf [64]byte
	line := buf[:runtime.Stack(buf[:], false)]
	line = bytes.TrimPrefix(line, []byte("goroutine "))
	id, _, _ := bytes.Cut(line, []byte(" "))
	n, err := strconv.ParseUint(string(id), 10, 64)
	if err != nil {
		panic("eventloop: no goroutine id in " + string(line))
	}
	return goid(n)
}
