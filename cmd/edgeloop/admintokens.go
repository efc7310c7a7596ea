package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"edgeloop/admin/access"
	"edgeloop/auth"
	"edgeloop/internal/filemode"
)

// ownToken is what the audit calls who has the node's own admin token.
const ownToken = "admin.token"

// maxTokensFile is far above access.MaxPrincipals lines.
const maxTokensFile = 1 << 20

// adminTokenFile is where the node's own admin token lies.
func adminTokenFile(dataDir string) string { return filepath.Join(dataDir, ownToken) }

// adminTokensFile is where the others lie, if there are any.
func adminTokensFile(dataDir string) string { return filepath.Join(dataDir, "admin.tokens") }

// readPrincipals reads who may ask the admin API: who has the node's own token, or the
// one before it, and those of the tokens file.
func (s *serveCmd) readPrincipals() ([]access.Principal, error) {
	own, err := auth.ReadTokens(adminTokenFile(s.DataDir))
	if err != nil {
		return nil, err
	}
	all, err := s.readTokensFile()
	if err != nil {
		return nil, err
	}
	for _, token := range own {
		all = append(all, access.Own(ownToken, token))
	}
	return all, nil
}

// readTokensFile reads the tokens file; where none is named there need be none.
func (s *serveCmd) readTokensFile() ([]access.Principal, error) {
	text, err := readTokensText(cmp.Or(s.AdminTokensFile, adminTokensFile(s.DataDir)))
	if s.AdminTokensFile == "" && errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("--admin-tokens-file: %w", err)
	}
	all, err := parseTokens(text)
	if err != nil {
		return nil, fmt.Errorf("--admin-tokens-file=%s: %w", cmp.Or(s.AdminTokensFile, adminTokensFile(s.DataDir)), err)
	}
	return all, nil
}

// parseTokens adds the rule that the node's own token has its name for itself.
func parseTokens(text []byte) ([]access.Principal, error) {
	return access.Parse(text, func(kind, name string) error {
		if kind == "token" && name == ownToken {
			return fmt.Errorf("the node's own token has the name %q: give another one", name)
		}
		return auth.CheckName(kind, name)
	})
}

// readTokensText reads a tokens file. Anybody able to write to it could make tokens.
func readTokensText(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case filemode.Open(info, 0o022) != 0:
		return nil, fmt.Errorf("%s has mode %04o, which lets others write to it: run \"chmod go-w %s\"", path, info.Mode().Perm(), path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxTokensFile+1))
	if err == nil && len(text) > maxTokensFile {
		err = fmt.Errorf("%s is longer than %d bytes: remove tokens that have expired", path, maxTokensFile)
	}
	return text, err
}

// addToken adds a principal to a tokens file, and makes the file if it is missing.
// The file as it will be is checked before anything is written, and what was written
// of a line that does not fit on the disk is taken back: no node starts with half a
// line.
func addToken(path string, p *access.Principal) error {
	if _, _, err := withToken(path, p); err != nil {
		return err // and no file was made
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil { // who adds one at the same time waits
		return fmt.Errorf("lock %s: %w", path, err)
	}
	before, line, err := withToken(path, p)
	if err != nil {
		return err
	}
	if _, err := f.Write(line); err != nil {
		return errors.Join(err, f.Truncate(before))
	}
	return f.Sync()
}

// withToken is what a principal appends to a tokens file, and how long that is now.
func withToken(path string, p *access.Principal) (before int64, line []byte, err error) {
	text, err := readTokensText(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, nil, err
	}
	line, err = p.Line()
	if err != nil {
		return 0, nil, err
	}
	line = append(line, '\n')
	if len(text) > 0 && text[len(text)-1] != '\n' {
		line = append([]byte{'\n'}, line...)
	}
	before = int64(len(text))
	if _, err := parseTokens(append(text, line...)); err != nil {
		return 0, nil, usageError{fmt.Errorf("%s: %w", path, err)}
	}
	return before, line, nil
}
