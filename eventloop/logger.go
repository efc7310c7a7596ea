package eventloop

import (
	"strings"

	"go.uber.org/zap"
)

// engineLogger passes gnet's log lines to zap. It is also where a failed accept
// is noticed: gnet says so here, on the acceptor's goroutine, right before it
// would take the engine down.
type engineLogger struct {
	*zap.SugaredLogger

	acceptFailed func(args []any)
}

// acceptFailure begins the line that gnet logs when accept failed for good; a
// test pins it.
const acceptFailure = "Accept() failed"

// Errorf implements gnet's logging.Logger.
func (l *engineLogger) Errorf(format string, args ...any) {
	l.SugaredLogger.Errorf(format, args...)
	if strings.HasPrefix(format, acceptFailure) {
		l.acceptFailed(args)
	}
}
