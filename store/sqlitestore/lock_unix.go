//go:build !windows

package sqlitestore

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// lockFile takes the lock that says whose the store is. The kernel gives it
// up with the process however that ends, so that none is ever stale; the file
// stays, with the number of the process that had it last.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, explain(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		pid := make([]byte, 20)
		n, _ := f.Read(pid)
		return nil, inUse(strings.TrimSpace(string(pid[:n])))
	}
	if err := f.Truncate(0); err == nil {
		_, _ = fmt.Fprintln(f, os.Getpid()) // for people to read; the lock holds without it
	}
	return f, nil
}

func inUse(pid string) error {
	return fmt.Errorf("another process (%s) has it open: one at a time can; stop that one, or give this one a store of its own (or both one on Redis)", pid)
}
