package kafka

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Record names one.
type Record struct {
	Device string
	Seq    uint64
}

// poison is the sequence of a record that is always refused, of every tenth device.
const poison = 43

func (r Record) poisoned() bool { return r.Seq == poison && r.Device[len(r.Device)-1] == '5' }

// judge says what is refused. A batch with a record that is bad is refused, as a whole; a record
// that was refused alone is so for good, also by the broker's next process. What this process has
// taken it takes again: a node that was killed before it knew sends it once more.
type judge struct {
	// Owned by the goroutine of the cluster.
	kept           *os.File // a line for each record that was refused alone
	refused, taken map[Record]bool

	// Atomic.
	all atomic.Bool
}

func (j *judge) open(dir string) (err error) {
	if j.refused, err = Refused(dir); err != nil {
		return err
	}
	j.kept, err = os.OpenFile(refusedPath(dir), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	return err
}

func refusedPath(dir string) string { return filepath.Join(dir, "refused") }

// Refused is what a broker of a directory has refused, alone and for good.
func Refused(dir string) (map[Record]bool, error) {
	out := map[Record]bool{}
	f, err := os.Open(refusedPath(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r Record
		if _, err := fmt.Sscan(lines.Text(), &r.Device, &r.Seq); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		out[r] = true
	}
	return out, lines.Err()
}

// fault has the broker ask the judge.
func (j *judge) fault() kfake.Fault {
	return kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.InvalidRecord, Count: -1, When: j.bad}
}

// named finds the device and the sequence of a record of the log; an event has none, and is never
// refused.
var named = regexp.MustCompile(`"device":"([^"]+)","epoch":\d+,(?:"seq":(\d+),)?`)

// bad says whether what a producer sends is refused. A record that is refused alone is written
// down before it is answered.
func (j *judge) bad(r kmsg.Request) bool {
	p, is := r.(*kmsg.ProduceRequest)
	if !is {
		return false
	}
	var all []Record
	bad := 0
	var last Record
	for _, t := range p.Topics {
		for _, part := range t.Partitions {
			for _, m := range named.FindAllSubmatch(part.Records, -1) {
				seq, _ := strconv.ParseUint(string(m[2]), 10, 64) // digits, or nothing
				r := Record{string(m[1]), seq}
				all = append(all, r)
				if seq > 0 && (j.refused[r] || r.poisoned() || j.all.Load() && !j.taken[r]) {
					bad, last = bad+1, r
				}
			}
		}
	}
	if bad == 1 && len(all) == 1 && !j.refused[last] {
		j.refused[last] = true
		_, _ = fmt.Fprintln(j.kept, last.Device, last.Seq) // if it fails the checker says that nobody refused it
	}
	for i := 0; bad == 0 && i < len(all); i++ {
		j.taken[all[i]] = true
	}
	return bad > 0
}
