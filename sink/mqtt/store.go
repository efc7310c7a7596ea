package mqtt

import (
	"io"

	"github.com/eclipse/paho.golang/paho/store/memory"
)

// unkept is the library's store of packets on their way, of which it would send again on a later
// connection what has no answer. Each connection here has a session of its own, and the engine
// sends again: a copy of each packet would be for nobody.
type unkept struct{}

func (unkept) Put(uint16, byte, io.WriterTo) error { return nil }

func (unkept) Get(uint16) (io.ReadCloser, error) { return nil, memory.ErrNotInStore }

func (unkept) Delete(uint16) error { return nil }

func (unkept) Quarantine(uint16) error { return nil }

func (unkept) List() ([]uint16, error) { return nil, nil }

func (unkept) Reset() error { return nil }
