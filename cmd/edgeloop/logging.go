package main

import (
	"fmt"
	"io"
	"os/signal"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// logging is the log of a node: its level may change while it runs, and its
// reader may be slow or leave.
type logging struct {
	*zap.Logger

	// Safe for concurrent use.
	audit *zap.Logger // whatever the level, and never sampled
	level zap.AtomicLevel
	out   *logWriter
}

// newLogging writes to w: text for people, JSON for machines. Equal messages
// within a second are sampled, so that a storm does not become a storm of lines.
func newLogging(level, format string, w io.Writer) (*logging, error) {
	at, err := zap.ParseAtomicLevel(level)
	if err != nil {
		return nil, fmt.Errorf("--log-level=%s: %w", level, err)
	}
	// With the signal, a write to a pipe whose reader has left would end the
	// process; without it the write fails, and the line is lost.
	signal.Ignore(syscall.SIGPIPE)
	encoder := newEncoder(format)
	out := newLogWriter(w, func(lost uint64) []byte { return lostLine(encoder, lost) })
	const first, thereafter = 100, 1000
	core := zapcore.NewCore(encoder, out, at)
	return &logging{
		Logger: zap.New(zapcore.NewSamplerWithOptions(core, time.Second, first, thereafter)),
		audit:  zap.New(zapcore.NewCore(encoder, out, zapcore.InfoLevel)),
		level:  at, out: out,
	}, nil
}

func newEncoder(format string) zapcore.Encoder {
	cfg := zap.NewProductionEncoderConfig()
	cfg.EncodeTime = zapcore.ISO8601TimeEncoder
	cfg.EncodeDuration = zapcore.StringDurationEncoder
	if format != "text" {
		return zapcore.NewJSONEncoder(cfg)
	}
	cfg.ConsoleSeparator = "  "
	cfg.EncodeLevel = zapcore.CapitalLevelEncoder
	return zapcore.NewConsoleEncoder(cfg)
}

// lostLine is what the log says of lines that it lost.
func lostLine(encoder zapcore.Encoder, lost uint64) []byte {
	entry := zapcore.Entry{Level: zapcore.WarnLevel, Time: time.Now(), LoggerName: "log", Message: "lines were lost, the log's reader was too slow or away"}
	line, err := encoder.EncodeEntry(entry, []zapcore.Field{zap.Uint64("lines", lost)})
	if err != nil {
		return fmt.Appendf(nil, "%d lines of the log were lost\n", lost)
	}
	return line.Bytes()
}

// lastWord writes what a program says as it ends, and waits no longer for the
// reader than for any other line.
func lastWord(w io.Writer, text string) {
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = io.WriteString(w, text) // nobody is left to tell
	}()
	await(logPatience, written, nil)
}
