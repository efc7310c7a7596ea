package testkit

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// leavesWithin is how long goroutines may take to end behind the last test of a package.
const leavesWithin = 30 * time.Second

// A Main runs the tests of a package for goleak.VerifyTestMain, and gives goroutines that have been
// told to end the time for it: goleak itself looks for less than half a second, in which a busy
// machine runs not all of them.
type Main struct {
	M      *testing.M
	Ignore []goleak.Option // as goleak.VerifyTestMain gets them
}

// Run implements goleak.TestingM.
func (m Main) Run() int {
	code := m.M.Run()
	for by := time.Now().Add(leavesWithin); code == 0 && goleak.Find(m.Ignore...) != nil && time.Now().Before(by); {
		continue // Find waits
	}
	return code
}

// Leaks runs the tests of a package, and fails them where they leave goroutines behind that are not
// to be ignored. It does not return.
func Leaks(m *testing.M, ignore ...goleak.Option) {
	goleak.VerifyTestMain(Main{m, ignore}, ignore...)
}
