package tlsrec

import (
	"errors"
	"io"
	"os"
)

// maxFile is the largest file that is read: a bundle of all public authorities has 200 KB.
const maxFile = 16 << 20

var errLarge = errors.New("larger than 16 MiB: this is not a PEM file")

// readSmall reads a file that is not large.
func readSmall(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) > maxFile:
		return nil, errLarge
	}
	return b, nil
}
