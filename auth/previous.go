package auth

import (
	"errors"
	"io/fs"
	"os"
)

// previousSuffix ends the name of the file with the previous secret or token. While
// PATH.previous exists beside PATH, both are valid, so that the new one can be handed
// out before the old one is void.
const previousSuffix = ".previous"

// Moved reports whether a rotation has begun without a new file yet: path is missing,
// and its previous file is there.
func Moved(path string) bool {
	_, err := os.Lstat(path)
	_, before := os.Lstat(path + previousSuffix)
	return errors.Is(err, fs.ErrNotExist) && before == nil
}

// withPrevious reads path and, if it exists, its previous file.
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
