package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"edgeloop/bench/fault/life"
)

type tableCmd struct {
	File string `arg:"" type:"existingfile" help:"Results that run has written with --out."`
}

// Run prints the table.
func (c *tableCmd) Run() error {
	f, err := os.Open(c.File)
	if err != nil {
		return err
	}
	defer f.Close()
	var lives []life.Result
	for dec := json.NewDecoder(bufio.NewReader(f)); ; {
		var r life.Result
		if err := dec.Decode(&r); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("%s: %w", c.File, err)
		}
		lives = append(lives, r)
	}
	if len(lives) == 0 {
		return fmt.Errorf("%s holds no results", c.File)
	}
	return life.WriteTable(os.Stdout, lives)
}
