package main

import (
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// A service manager that speaks systemd's protocol (sd_notify(3), Type=notify) is
// told what the node is doing. Without one (NOTIFY_SOCKET is not set) nothing of
// this does anything.

// tell sends one notification; a failure is worth a line, no more.
func (l *logging) tell(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		l.Warn("cannot notify the service manager", zap.String("state", state), zap.Error(err))
	}
}

// tellReady says that the node serves, and where.
func (n *node) tellReady() {
	n.log.tell(fmt.Sprintf("%s\nSTATUS=devices: %s, admin API: %s", daemon.SdNotifyReady, n.server.Addr(), n.admin.Addr()))
}

// tellReloading says that the settings are being read again; tellReady ends it.
func (n *node) tellReloading() {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	n.log.tell(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/int64(time.Microsecond)))
}

// tellStopping says that the node stops, and how long that may take, so that a long
// drain window needs no longer TimeoutStopSec.
func (l *logging) tellStopping(most time.Duration) {
	l.tell(fmt.Sprintf("%s\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=%d", daemon.SdNotifyStopping, most.Microseconds()))
}

// feedEvery is how often the manager's watchdog (WatchdogSec=) wants to be fed; 0:
// there is none.
func (l *logging) feedEvery() time.Duration {
	most, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		l.Warn("cannot read WATCHDOG_USEC, the watchdog of the service manager is not fed", zap.Error(err))
	}
	return most / 4
}

// feed feeds the watchdog, unless an event loop hangs: such a node has to be started
// again. A log that takes nothing holds no loop up, and a start or a stop that takes
// its time has a bound of its own.
func (v *supervisor) feed(every time.Duration, stopping bool) {
	if lag := v.lag.Load(); lag != nil && !stopping {
		if hangs := (*lag)(); hangs > 2*every {
			v.log.Error("an event loop hangs, the watchdog is not fed", zap.Duration("for", hangs))
			return
		}
	}
	v.log.tell(daemon.SdNotifyWatchdog)
}
