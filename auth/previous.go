package auth

import (
	"errors"
	"io/fs"
	"os"
)

// previousSuffix ends the name of a file that holds what was used before: while
// PATH.previous lies beside the secret or the token PATH, both are taken, so that
// everybody can be given the new one before the old one is void.
const previousSuffix = ".previous"

// Moved reports whether a rotation has begun that made no new file yet: path is
// missing and what was there is path's previous one.
func Moved(path string) bool {
	_, err := os.Lstat(path)
	_, before := os.Lstat(path + previousSuffix)
	return errors.Is(err, fs.ErrNotExist) && before == nil
}

// withPrevious reads path, and what was used before it if that is still there.
func withPrevious[T any](path string, read func(path string) (T, error)) ([]T, error) {
	current, err := read(path)
	if err != nil {
		return nil, err
	}
	before, err := read(path + previousSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return []T{current}, nil
	}
	return []T{current, before}, err
}
