package custody

import (
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"go.uber.org/zap"

	"edgeloop/backbone/blocks"
)

// survey brings the manifest up to date without reading whole blocks: it looks at the files and
// at the first position in each. A block ends where the next begins, the newest with last.
func survey(stream, dir string, m *manifest, last uint64) (gone []blockInfo, err error) {
	s := scanner{stream: stream, dir: dir}
	list, err := blocks.List(dir)
	if err != nil {
		return nil, err
	}
	for _, b := range m.Blocks {
		if !slices.Contains(list, b.Index) {
			gone = append(gone, b)
		}
	}
	infos := make([]blockInfo, 0, len(list))
	for _, index := range list {
		path := blocks.Path(dir, index)
		st, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if was := m.block(index); was != nil && was.Size == st.Size() && was.Changed.Equal(st.ModTime()) {
			infos = append(infos, *was)
			continue
		}
		b := blockInfo{Index: index, Size: st.Size(), Changed: st.ModTime(), LastTime: st.ModTime().UnixNano()}
		first, plain, err := firstOf(path)
		if err != nil {
			return nil, err
		}
		if b.First = first; !plain { // something was deleted: rare, and there the whole of it is read
			f, err := s.scan(index)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			b = f.blockInfo
		}
		infos = append(infos, b)
	}
	end := last
	for i := len(infos) - 1; i >= 0; i-- {
		b := &infos[i]
		if b.First == 0 {
			continue
		}
		if b.Last == 0 && end >= b.First {
			b.Last = end
		}
		end = b.First - 1
	}
	m.Blocks = infos
	return gone, nil
}

// firstOf returns the sequence of the first record of a block, 0 if it has none. plain says
// that this record is a message.
func firstOf(path string) (seq uint64, plain bool, err error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, err
	}
	defer f.Close()
	const marks = 1<<63 | 1<<62 // what was erased or only says so
	var head [12]byte
	if _, err := io.ReadFull(f, head[:]); err != nil {
		return 0, true, nil //nolint:nilerr // shorter than a record
	}
	seq = binary.LittleEndian.Uint64(head[4:])
	return seq, seq&marks == 0, nil
}

// Close writes the mark. After an orderly stop, with the store closed, the next start need not
// read the log.
func (k *Keeper) Close(orderly bool) error {
	var err error
	if orderly {
		k.mu.Lock()
		k.man.Streams = k.present()
		_, err = survey(k.o.Log, k.msgs(), &k.man, k.mark.m.last)
		if err == nil {
			err = k.man.write(k.o.Dir)
		}
		k.mu.Unlock()
		if k.mark.m.clean = err == nil; err != nil { // a full disk, most likely: the next start reads all of the log
			k.o.Logger.Warn("what is known of the log cannot be kept", zap.Error(err))
		}
		err = k.mark.write()
	}
	return errors.Join(err, k.mark.sync(), k.mark.f.Close())
}

func (k *Keeper) msgs() string { return filepath.Join(k.o.Streams, k.o.Log, "msgs") }

// present are the streams beside the log that there are.
func (k *Keeper) present() (names []string) {
	for _, name := range k.o.Others {
		if _, err := os.Stat(filepath.Join(k.o.Streams, name)); err == nil {
			names = append(names, name)
		}
	}
	return names
}

// State is what the store says of the log.
type State struct {
	Identity          string // "": none
	First, Last, Msgs uint64
	MaxBytes          int64
	MaxAge            time.Duration
}

// Opened compares what the store made of the log with what is known of it, and gives
// the identity that the log is to have. deleted lists the positions that the store
// holds nothing of. *Error as for Open.
func (k *Keeper) Opened(s State, deleted func() ([]uint64, error)) (identity string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	m := &k.mark.m
	var found []Damage
	switch {
	case s.Identity == m.log:
	case s.Identity == "":
		if !k.made && !k.adopted && s.Last >= m.last {
			found = append(found, Damage{Kind: OtherLog, Stream: k.o.Log, Detail: "the log has lost its identity, " + m.log})
		}
	case k.made || k.adopted:
		m.log = s.Identity
		found = append(found, Damage{Kind: BadMark, Stream: k.o.Log, Detail: "the mark of what was acknowledged is gone: nobody knows how far the log had come"})
	default:
		found = append(found, Damage{Kind: OtherLog, Stream: k.o.Log, Detail: "this is log " + s.Identity + ", the node wrote log " + m.log})
		m.log = s.Identity
	}
	if s.Last < m.last {
		if lost := without([]span{{s.Last + 1, m.last}}, k.man.Gaps); len(lost) > 0 && !k.told {
			found = append(found, k.short(s.Last, m.last))
		}
		// Its positions are given out anew: those of before must not be taken for them.
		m.log, k.man.Gaps = newIdentity(), without(k.man.Gaps, []span{{s.Last + 1, m.last}})
	}
	m.last = s.Last
	k.last.Store(s.Last)
	k.mark.first.Store(max(s.First, 1))
	missing, copies, err := k.missingLocked(s, deleted)
	if err != nil {
		return "", err
	}
	found = append(found, missing...)
	k.man.Log, k.man.MaxBytes, k.man.MaxAge, k.man.Streams = m.log, s.MaxBytes, s.MaxAge, k.present()
	if err := errors.Join(k.mark.write(), k.mark.sync(), k.man.write(k.o.Dir)); err != nil {
		return "", err
	}
	if err := k.reportLocked(found, copies); err != nil {
		return "", err
	}
	if k.o.OnDamage == Stop {
		return m.log, k.Undecided()
	}
	return m.log, nil
}

func (k *Keeper) short(end, last uint64) Damage {
	return Damage{
		Kind: Short, Stream: k.o.Log, From: end + 1, To: last, Records: last - end,
		Detail: "the store ends the log before what was acknowledged",
	}
}

// copiesMost blocks are copied when the store has lost records in itself.
const copiesMost = 16

// missingLocked counts: the store must hold as many records as its first and last
// position say, but for those that are known to be lost.
func (k *Keeper) missingLocked(s State, deleted func() ([]uint64, error)) (found []Damage, files []string, err error) {
	if s.Msgs == 0 || s.Last-s.First+1-countWithin(k.man.Gaps, s.First, s.Last) <= s.Msgs {
		return nil, nil, nil
	}
	seqs, err := deleted()
	if err != nil {
		return nil, nil, err
	}
	for _, lost := range without(spansOf(seqs), k.man.Gaps) {
		found = append(found, Damage{
			Kind: Miscounted, Stream: k.o.Log, From: lost.From, To: lost.To, Records: lost.size(),
			Detail: "the store does not hold what it said was stored",
		})
		k.man.addGaps(lost)
		for _, b := range k.man.Blocks {
			if b.First <= lost.To && b.Last >= lost.From && len(files) < copiesMost {
				files = append(files, blocks.Path(k.msgs(), b.Index))
			}
		}
	}
	return found, files, nil
}

// spansOf joins positions in order to rows.
func spansOf(seqs []uint64) (spans []span) {
	slices.Sort(seqs)
	for _, seq := range seqs {
		if n := len(spans); n > 0 && spans[n-1].To+1 == seq {
			spans[n-1].To = seq
			continue
		}
		spans = append(spans, span{seq, seq})
	}
	return spans
}

// reportLocked puts damage on record.
func (k *Keeper) reportLocked(found []Damage, files []string) error {
	if len(found) == 0 {
		return nil
	}
	r, err := file(k.o.Dir, found, files, true)
	if err != nil {
		return err
	}
	k.say(found, r)
	if k.o.OnDamage == Serve && !k.opened {
		return r.accept()
	}
	k.reports = append(k.reports, *r)
	k.recountLocked()
	return nil
}
