package custody

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Report holds damage that was found and what was decided. It lies beside the copies of the
// damaged files in a folder of its own, DIR/damaged/TIME/.
type Report struct {
	At      time.Time `json:"at"`
	Damages []Damage  `json:"damages"`
	// Accepted is when somebody decided to go on; nil: nobody has.
	Accepted *time.Time `json:"accepted,omitempty"`
	// Applied says that the node has gone on since and counts the records as lost.
	Applied bool `json:"applied"`

	path string
}

const (
	damagedDir = "damaged"
	reportName = "report.json"
)

// Folder returns where the report and the copies lie.
func (r *Report) Folder() string { return filepath.Dir(r.path) }

// Reports returns all reports of a data directory, the oldest first.
func Reports(dir string) ([]Report, error) {
	folders, err := os.ReadDir(filepath.Join(dir, damagedDir)) // sorted by name, which is the time
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Report
	for _, folder := range folders {
		r := Report{path: filepath.Join(dir, damagedDir, folder.Name(), reportName)}
		b, err := os.ReadFile(r.path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) || !folder.IsDir() {
			continue // not ours, or its writing was cut short
		}
		if err == nil {
			err = json.Unmarshal(b, &r)
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", r.path, err)
		}
		all = append(all, r)
	}
	return all, nil
}

func (r *Report) write() error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return replaceFile(r.path, append(b, '\n'))
}

// accept notes that somebody decided to go on.
func (r *Report) accept() error {
	now := time.Now().UTC()
	r.Accepted = &now
	return r.write()
}

// Accept notes in all reports that somebody decided to go on. It returns how many had been
// undecided. A running node notices within moments.
func Accept(dir string) (int, error) {
	n := 0
	all, err := Reports(dir)
	for i := range all {
		if all[i].Accepted == nil {
			n++
			err = errors.Join(err, all[i].accept())
		}
	}
	return n, err
}

// file writes a report with copies of the damaged files.
func file(dir string, damages []Damage, files []string, applied bool) (*Report, error) {
	now := time.Now().UTC()
	r := &Report{At: now, Damages: damages, Applied: applied}
	folder := filepath.Join(dir, damagedDir, now.Format("20060102T150405.000000000Z"))
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	copied := map[string]bool{}
	for _, path := range files {
		if copied[path] {
			continue
		}
		copied[path] = true
		if err := copyFile(path, filepath.Join(folder, copyName(dir, path))); err != nil {
			return nil, fmt.Errorf("copy the damaged files: %w", err)
		}
	}
	r.path = filepath.Join(folder, reportName)
	if err := r.write(); err != nil {
		return nil, err
	}
	return r, errors.Join(syncPath(filepath.Dir(folder)), syncPath(dir))
}

// copyName keeps files of the same name in several streams apart.
func copyName(dir, path string) string {
	rel, err := filepath.Rel(dir, path)
	if err != nil {
		return filepath.Base(path)
	}
	stream := filepath.Base(filepath.Dir(rel))
	if stream == "msgs" {
		stream = filepath.Base(filepath.Dir(filepath.Dir(rel)))
	}
	if stream == "." {
		return filepath.Base(path)
	}
	return stream + "-" + filepath.Base(path)
}

// copyFile copies a file as far as it can be read. It is not an error if the file is missing.
func copyFile(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Sync(), out.Close())
}
