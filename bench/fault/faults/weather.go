package faults

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Weather is a link between two network namespaces whose packets pass through this process. It
// loses, delays and reorders them, or forwards none, as netem would where the kernel has it.
type Weather struct {
	// Immutable after construction.
	A, B         *Namespace
	AddrA, AddrB string // IP addresses
	tuns         [2]*os.File
	wg           sync.WaitGroup

	// Atomic.
	loss  atomic.Int64 // packets of 1000 that are lost; 1000: a partition
	delay atomic.Int64 // nanoseconds; each packet takes between it and twice it
}

// NewWeather makes two namespaces with a link between them.
func NewWeather(name string) (w *Weather, err error) {
	w = &Weather{AddrA: "10.99.0.1", AddrB: "10.99.0.2"}
	defer func() {
		if err != nil {
			w.Close()
		}
	}()
	if w.A, err = NewNamespace(name + "a"); err != nil {
		return w, err
	}
	if w.B, err = NewNamespace(name + "b"); err != nil {
		return w, err
	}
	for i, end := range []*Namespace{w.A, w.B} {
		if w.tuns[i], err = openTun(end); err != nil {
			return w, err
		}
		addr := []string{w.AddrA, w.AddrB}[i]
		for _, args := range [][]string{
			{"addr", "add", addr + "/24", "dev", "air0"},
			{"link", "set", "air0", "mtu", "1400", "txqueuelen", "1000", "up"},
		} {
			if err = Command("ip", append([]string{"-n", end.Name}, args...)...); err != nil {
				return w, err
			}
		}
	}
	for i := range w.tuns {
		w.wg.Add(1)
		go func() {
			defer w.wg.Done()
			w.carry(w.tuns[i], w.tuns[1-i])
		}()
	}
	return w, nil
}

// Set changes the weather: of 1000 packets, loss are lost. The others take between delay and
// twice that, which also reorders them.
func (w *Weather) Set(loss int, delay time.Duration) {
	w.loss.Store(int64(loss))
	w.delay.Store(int64(delay))
}

// Close removes the link and the namespaces.
func (w *Weather) Close() {
	for _, t := range w.tuns {
		if t != nil {
			t.Close()
		}
	}
	w.wg.Wait()
	for _, n := range []*Namespace{w.A, w.B} {
		if n != nil {
			_ = n.Close() // nothing else can be done about it
		}
	}
}

func (w *Weather) carry(from, to *os.File) {
	buf := make([]byte, 2048)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		if rand.Int64N(1000) < w.loss.Load() { //nolint:gosec // weather
			continue
		}
		d := w.delay.Load()
		if d == 0 {
			_, _ = to.Write(buf[:n]) // a link that does not take a packet loses it
			continue
		}
		packet := append([]byte(nil), buf[:n]...)
		time.AfterFunc(time.Duration(d+rand.Int64N(d)), func() { _, _ = to.Write(packet) }) //nolint:gosec // weather
	}
}

// openTun makes the device air0 in a namespace.
func openTun(n *Namespace) (f *os.File, err error) {
	inside := n.Do(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("open /dev/net/tun: %w", err)
		}
		req, err := unix.NewIfreq("air0")
		if err == nil {
			req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("make a tun device: %w", err), unix.Close(fd))
		}
		f = os.NewFile(uintptr(fd), "air0")
		return nil
	})
	return f, inside
}
