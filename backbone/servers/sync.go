package servers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// Sync says whether the log is known to sync what it confirms.
type Sync uint8

const (
	// SyncUnknown means that the servers do not say. By default they sync every two minutes.
	SyncUnknown Sync = iota
	// Synced means that each record is on a disk before it is confirmed.
	Synced
	// SyncReplicated means that each record is on three servers or more, not known to sync.
	// It survives unless most of them lose power at once.
	SyncReplicated
	// Unsynced means that the records confirmed last are lost with the power.
	Unsynced

	numSyncs
)

// NumSyncs is their number; they count from zero.
const NumSyncs = int(numSyncs)

// String returns the metric label.
func (s Sync) String() string {
	if s >= numSyncs {
		return "unknown"
	}
	return [numSyncs]string{"unknown", "synced", "replicated", "unsynced"}[s]
}

const (
	// askServers reaches the servers only from an account that imports it from the
	// system account; elsewhere nobody answers.
	askServers = "$SYS.REQ.SERVER.PING.JSZ"
	// askPatience is how long to wait for an answer, and behind each for those of further servers.
	askPatience = 300 * time.Millisecond
	// enoughReplicas can outvote one that has lost what it did not sync.
	enoughReplicas = 3
)

// AskSync finds out whether the log syncs before it confirms. It warns if that is asked for
// and not known.
func (s *Servers) AskSync(ctx context.Context, log *jetstream.StreamConfig) Sync {
	if s.Here() {
		if s.cfg.Durability == Power {
			return Synced
		}
		return Unsynced
	}
	known := judgeSync(log, askSyncAlways(ctx, s.Asker.NC, cmp.Or(s.cfg.Seams.Timeout, askPatience)))
	if s.cfg.Durability != Power {
		return known
	}
	switch known {
	case SyncUnknown, Unsynced:
		s.cfg.Logger.Warn("acknowledged messages may be lost with the power: the log's servers are not known to sync; give each \"sync_interval: always\", or the log three replicas on machines that do not lose power together",
			zap.Stringer("sync", known), zap.Int("replicas", log.Replicas), zap.String("server", s.Asker.NC.ConnectedServerVersion()))
	case Synced, SyncReplicated:
		if version := s.Asker.NC.ConnectedServerVersion(); log.Replicas > 1 && older(version, 2, 15) {
			s.cfg.Logger.Warn("replicas of a server before 2.15 are slow with sync_interval: always", zap.String("server", version))
		}
	}
	return known
}

// judgeSync decides; always holds the answers of the servers that gave one.
func judgeSync(s *jetstream.StreamConfig, always []bool) Sync {
	all := len(always) > 0
	for _, one := range always {
		all = all && one
	}
	switch {
	case s.Storage == jetstream.MemoryStorage, s.PersistMode == jetstream.AsyncPersistMode:
		return Unsynced // whatever the server is told
	case all:
		return Synced
	case s.Replicas >= enoughReplicas:
		return SyncReplicated
	case len(always) > 0:
		return Unsynced
	}
	return SyncUnknown
}

// askSyncAlways asks all servers that may be asked, and waits so long for the first to answer.
func askSyncAlways(ctx context.Context, nc *nats.Conn, first time.Duration) (always []bool) {
	inbox := nc.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return nil
	}
	defer sub.Unsubscribe() //nolint:errcheck // the connection is gone then
	if err := nc.PublishRequest(askServers, inbox, []byte(`{"config":true}`)); err != nil {
		return nil
	}
	for within := first; ; within = askPatience {
		next, cancel := context.WithTimeout(ctx, within)
		m, err := sub.NextMsgWithContext(next)
		cancel()
		if err != nil || m.Header.Get(HeaderStatus) == "503" { // nobody answers, or nobody else
			return always
		}
		var answer struct {
			Data *server.JSInfo `json:"data"`
		}
		if json.Unmarshal(m.Data, &answer) == nil && answer.Data != nil && !answer.Data.Disabled {
			always = append(always, answer.Data.Config.SyncAlways)
		}
	}
}

// older says whether a server's version is below major.minor; what is not a version is not
// older.
func older(version string, major, minor int) bool {
	var a, b int
	if n, _ := fmt.Sscanf(version, "%d.%d", &a, &b); n < 2 {
		return false
	}
	return a < major || a == major && b < minor
}
