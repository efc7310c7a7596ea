package main

import (
	"context"
	"time"
)

// filesEvery is how often the node looks whether files have changed. They are read once
// they have stayed the same for as long: a certificate and its key come in two steps, and
// a long list in more.
const filesEvery = 2 * time.Second

// A fileWatch is for files that are read again by themselves when they have changed.
type fileWatch struct {
	stamp  func() string // another one when a file has changed
	known  string        // stamp of what is in force, or was found to be broken
	last   string        // stamp of the last look
	reread func(context.Context)
}

// look is one look at the files.
func (w *fileWatch) look(ctx context.Context) {
	stamp := w.stamp()
	if stamp == w.last && stamp != w.known {
		w.known = stamp
		w.reread(ctx)
	}
	w.last = stamp
}

// fileWatches are those of this node.
func (n *node) fileWatches() (all []*fileWatch) {
	if n.tls != nil {
		known := n.tls.ReadStamp() // of what is in force: a file may have changed since it was read
		all = append(all, &fileWatch{stamp: n.tls.Stamp, known: known, last: known, reread: n.rereadTLS})
	}
	if n.cfg.JWKSFile != "" && n.verifier != nil {
		stamp := func() string { return stampOf(n.cfg.JWKSFile) }
		all = append(all, &fileWatch{stamp: stamp, known: n.keyStamp, last: n.keyStamp, reread: n.rereadKeys})
	}
	for _, c := range n.certs.all() {
		known := c.now.Load().stamp
		reread := func(ctx context.Context) { n.rereadCertificate(ctx, c) }
		all = append(all, &fileWatch{stamp: c.stamp, known: known, last: known, reread: reread})
	}
	all = append(all, &fileWatch{stamp: n.cfg.tokensStamp, known: n.tokens.read, last: n.tokens.read, reread: n.rereadTokens})
	if n.cfg.wantsLists() {
		all = append(all, &fileWatch{stamp: n.cfg.listsStamp, known: n.entry.listsRead, last: n.entry.listsRead, reread: n.rereadLists})
	}
	return all
}

// startWatchFiles looks after the files that may change while the node runs, and the keys
// of tickets.
func (n *node) startWatchFiles(context.Context) (stopFunc, error) {
	all := n.fileWatches()
	return inBackground(func(ctx context.Context) { n.watchFiles(ctx, all) }), nil
}

func (n *node) watchFiles(ctx context.Context, all []*fileWatch) {
	tick := time.NewTicker(filesEvery)
	defer tick.Stop()
	warned := time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if n.tls != nil {
				n.tls.Rotate(now)
			}
			if now.Sub(warned) >= warnEvery {
				warned = now
				n.warnTLS(now)
				n.warnCertificates(now)
			}
			for _, w := range all {
				w.look(ctx)
			}
		}
	}
}
