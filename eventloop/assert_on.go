//go:build invariants || race

package eventloop

import (
	"bytes"
	"runtime"
	"strconv"
)

// An owner is the goroutine that a loop's fields belong to.
type owner struct {
	id uint64 // 0 before the loop's first connection
}

// adopt makes the calling goroutine the owner, unless there is one.
func (o *owner) adopt() {
	if o.id == 0 {
		o.id = goroutineID()
	}
}

// check panics when called from any goroutine but the owner.
func (o *owner) check() {
	if id := goroutineID(); o.id != 0 && id != o.id {
		panic("eventloop: an OnLoop method was called from goroutine " + strconv.FormatUint(id, 10))
	}
}

func goroutineID() uint64 {
	var buf [64]byte
	line := buf[:runtime.Stack(buf[:], false)]
	line = bytes.TrimPrefix(line, []byte("goroutine "))
	id, _, _ := bytes.Cut(line, []byte(" "))
	n, err := strconv.ParseUint(string(id), 10, 64)
	if err != nil {
		panic("eventloop: no goroutine id in " + string(line))
	}
	return n
}
