package servers

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// embedded is the nats-server of this process. It stands in front of the real
// one so that a server which has to be opened again (see restart) is found by
// the clients at the same place.
type embedded struct {
	// Immutable after construction.
	opts server.Options
	log  *zap.Logger

	// life is held while the server starts or stops, which takes long: callers
	// who want a restart at the same time get one.
	life sync.Mutex

	mu sync.Mutex
	// Guarded by mu.
	srv    *server.Server // nil while there is none
	closed bool
}

const (
	serverReadyTimeout = 30 * time.Second
	syncRestEvery      = 10 * time.Second
	syncProcessEvery   = time.Second
)

// MaxPayload is the largest message of the server in this process; above it the server
// warns at each start.
const MaxPayload = 8 << 20

// ErrDown says that the server in this process is not running, or is being opened anew.
var ErrDown = errors.New("backbone: the embedded server is not running")

func serverOptions(c *Config) server.Options {
	o := server.Options{
		ServerName: "edgeloop",
		DontListen: true, // clients are in this process
		NoSigs:     true, // signals belong to cmd
		NoLog:      true, // until our logger is set
		JetStream:  true,
		StoreDir:   StoreDir(c.DataDir),
		MaxPayload: MaxPayload,
		// The default is a share of what is free now; our bounds are MaxBytes and
		// DiskReserve.
		JetStreamMaxStore:  1 << 60,
		JetStreamMaxMemory: 64 << 20,
		// Without SyncAlways, what must be on the disk is synced by us, once for a batch.
		// The server does the rest, and with Process all of it, from time to time.
		SyncInterval: syncRestEvery,
		SyncAlways:   c.SyncAlways,
	}
	if c.Durability == Process {
		o.SyncInterval = syncProcessEvery
	}
	return o
}

func startEmbedded(c *Config) (*embedded, error) {
	e := &embedded{opts: serverOptions(c), log: c.Logger.Named("nats")}
	if err := e.start(); err != nil {
		return nil, err
	}
	return e, nil
}

func (e *embedded) start() error {
	opts := e.opts
	srv, err := server.NewServer(&opts)
	if err != nil {
		return fmt.Errorf("embedded nats server: %w", err)
	}
	srv.SetLoggerV2(serverLog{e.log}, false, false, false)
	srv.Start()
	if !srv.ReadyForConnections(serverReadyTimeout) || !srv.JetStreamEnabled() {
		srv.Shutdown()
		srv.WaitForShutdown()
		return fmt.Errorf("embedded nats server: not ready, store %s", opts.StoreDir)
	}
	e.mu.Lock()
	e.srv = srv
	e.mu.Unlock()
	return nil
}

// stop ends the server for good and waits for it; files are closed when it
// returns.
func (e *embedded) stop() {
	e.life.Lock()
	defer e.life.Unlock()
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.shutdown()
}

func (e *embedded) shutdown() {
	e.mu.Lock()
	srv := e.srv
	e.srv = nil
	e.mu.Unlock()
	if srv != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
	}
}

// restart opens the store anew. A store that met a write error (a full disk)
// takes nothing more until then, though the disk may have room again.
func (e *embedded) restart() error {
	e.life.Lock()
	defer e.life.Unlock()
	if e.isClosed() {
		return ErrClosed
	}
	e.shutdown()
	return e.start()
}

func (e *embedded) isClosed() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.closed
}

// InProcessConn makes embedded the provider that nats.go asks for its
// connection, also after a restart.
func (e *embedded) InProcessConn() (net.Conn, error) {
	srv := e.running()
	if srv == nil {
		return nil, ErrDown
	}
	return srv.InProcessConn()
}

// running is nil while there is no server.
func (e *embedded) running() *server.Server {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.srv
}

// serverLog gives the server's own lines to our logger. Its notices are about
// start and stop of parts, so they are Debug here.
type serverLog struct{ z *zap.Logger }

const serverLine = "nats server"

func (l serverLog) write(level zapcore.Level, format string, v []any) {
	if e := l.z.Check(level, serverLine); e != nil {
		e.Write(zap.String("text", fmt.Sprintf(format, v...)))
	}
}

func (l serverLog) Noticef(format string, v ...any) { l.write(zap.DebugLevel, format, v) }
func (l serverLog) Warnf(format string, v ...any)   { l.write(zap.WarnLevel, format, v) }
func (l serverLog) Errorf(format string, v ...any)  { l.write(zap.ErrorLevel, format, v) }
func (l serverLog) Debugf(format string, v ...any)  { l.write(zap.DebugLevel, format, v) }
func (l serverLog) Tracef(format string, v ...any)  { l.write(zap.DebugLevel, format, v) }

// Fatalf does not end the process: the server calls it when it cannot start,
// and Open finds out because the server does not become ready.
func (l serverLog) Fatalf(format string, v ...any) { l.write(zap.ErrorLevel, format, v) }

var _ server.Logger = serverLog{}
