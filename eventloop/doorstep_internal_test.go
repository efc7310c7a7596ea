package eventloop

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A peer that speaks is let in first, one that hangs up is forgotten, and one that has been
// silent longest is the one to be sent away: not if what it said is only unread.
func TestDoorstep_WhoIsNext(t *testing.T) {
	ln, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(ln) })
	var d doorstep // of none who may stand there none is given a moment
	if err := d.open(ln); err != nil {
		t.Fatal(err)
	}
	defer d.close()
	var ours, theirs []int
	for range 5 {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fds[1]) })
		d.take(fds[0])
		ours, theirs = append(ours, fds[0]), append(theirs, fds[1])
	}
	say := func(i int) {
		t.Helper()
		if _, err := unix.Write(theirs[i], []byte("G")); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what string, i int, next func() (int, bool)) {
		t.Helper()
		if fd, ok := next(); !ok || fd != ours[i] {
			t.Fatalf("%s: %d, %v; want %d", what, fd, ok, ours[i])
		}
		d.end(ours[i])
	}
	say(3)
	if err := unix.Shutdown(theirs[2], unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	d.listen(1000)
	if n := d.standing.Load(); n != 4 || d.left.Load() != 1 {
		t.Fatalf("%d stand there and %d have left, after one of five hung up", n, d.left.Load())
	}
	want("the one that spoke", 3, func() (int, bool) { return d.next(true) })
	say(0) // and nobody has listened yet
	want("the longest silent", 1, d.quietest)
	want("the one that was not listened to", 0, func() (int, bool) { return d.next(false) })
	if fd, ok := d.next(false); ok {
		t.Errorf("%d is let in, and is silent", fd)
	}
	want("the silent one, when there is no crowd any more", 4, func() (int, bool) { return d.next(true) })
	if n := d.standing.Load(); n != 0 || len(d.at) != 0 {
		t.Errorf("%d stand there when all have gone", n)
	}
}

// A newcomer is not sent away for its silence, until as many more were than
// spoke as may stand there; whoever speaks then counts against that.
func TestDoorstep_AMomentToSpeak(t *testing.T) {
	ln, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(ln) })
	d := doorstep{most: 2}
	if err := d.open(ln); err != nil {
		t.Fatal(err)
	}
	defer d.close()
	come := func() int {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fds[1]) })
		d.take(fds[0])
		// However slow this machine is, it has just come.
		s := &d.silent[len(d.silent)-1]
		s.came = s.came.Add(time.Hour)
		d.at[s.fd] = *s
		return fds[0]
	}
	first, second := come(), come()
	d.mute = d.most - 1
	if fd, ok := d.quietest(); ok {
		t.Errorf("%d is to go, and has just come", fd)
	}
	d.mute = d.most
	if fd, ok := d.quietest(); !ok || fd != first {
		t.Errorf("%d, %v is to go while most are silent; want %d", fd, ok, first)
	}
	d.hear(d.at[second])
	if d.mute != d.most-1 {
		t.Errorf("mute is %d after one spoke, want %d", d.mute, d.most-1)
	}
	d.end(first)
	d.end(second)
	if come(); d.mute != 0 {
		t.Errorf("mute is %d when the first of a new crowd comes", d.mute)
	}
}
