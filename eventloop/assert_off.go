//go:build !invariants && !race

package eventloop

// goid takes no room in release builds.
type goid struct{}

func (l *loop) adoptLoop()    {}
func (l *loop) assertOnLoop() {}
