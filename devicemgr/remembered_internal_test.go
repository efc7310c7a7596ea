package devicemgr

import (
	"sync"
	"testing"
)

type noLink struct{}

func (noLink) Send([]byte) error    { return nil }
func (noLink) Close(uint16, string) {}

// TestSession_ForgottenOrAccepted: a lane accepts a message of a device that has
// left while the table forgets the device. Either the session stays, or the lane
// sees that it is gone: never both accept and forget.
func TestSession_ForgottenOrAccepted(t *testing.T) {
	both, kept, dropped := 0, 0, 0
	for range 2000 {
		m, err := New(Config{MaxOffline: 1})
		if err != nil {
			t.Fatal(err)
		}
		s, epoch, _ := m.Connect(Key{"t", "old"}, noLink{})
		s.SetLoaded(0)
		m.Unregister(s, epoch)
		next, nextEpoch, _ := m.Connect(Key{"t", "new"}, noLink{})
		var all sync.WaitGroup
		all.Add(2)
		taken := false
		go func() {
			defer all.Done()
			s.SetAcceptedOnLane(1)
			if taken = s.Epoch() == epoch; !taken {
				s.SetAcceptedOnLane(0)
			}
		}()
		go func() {
			defer all.Done()
			m.Unregister(next, nextEpoch) // one too many is remembered now
		}()
		all.Wait()
		switch gone := m.Lookup(Key{"t", "old"}) == nil; {
		case gone && taken:
			both++
		case taken:
			kept++
		default:
			dropped++
		}
	}
	t.Logf("%d kept, %d dropped", kept, dropped)
	if both > 0 {
		t.Errorf("%d messages were accepted by a session that was forgotten", both)
	}
}
