package sqlitestore

import (
	"errors"
	"os"
	"syscall"
)

// lockFile takes the lock that says whose the store is: a file that nobody
// else may open meanwhile. The system closes it with the process however that
// ends, so that none is ever stale.
func lockFile(path string) (*os.File, error) {
	name, err := syscall.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	h, err := syscall.CreateFile(name, syscall.GENERIC_READ|syscall.GENERIC_WRITE, 0, nil, syscall.OPEN_ALWAYS, syscall.FILE_ATTRIBUTE_NORMAL, 0)
	const sharingViolation = syscall.Errno(32) // ERROR_SHARING_VIOLATION
	if errors.Is(err, sharingViolation) {
		return nil, errors.New("another process has it open: one at a time can; stop that one, or give this one a store of its own (or both one on Redis)")
	}
	if err != nil {
		return nil, explain(err)
	}
	return os.NewFile(uintptr(h), path), nil
}
