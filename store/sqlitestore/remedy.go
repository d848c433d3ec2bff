package sqlitestore

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	sqlite3 "modernc.org/sqlite/lib"
)

// damaged is the error of a file whose content is not what was written.
func damaged(what string) error {
	return fmt.Errorf("the file is damaged (%s): stop, keep a copy of it and of the -wal file beside it, and restore the last backup", what)
}

// explain adds to an error what a person can do about it.
func explain(err error) error {
	var remedy string
	switch code(err) {
	case sqlite3.SQLITE_FULL:
		remedy = "the disk is full: free some space; nothing that was acknowledged is lost"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		remedy = "it can not be written: mount the directory for writing and let this user own the file and its directory"
	case sqlite3.SQLITE_CANTOPEN:
		remedy = "it can not be opened: the directory must exist, and this user must be allowed to write in it"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		remedy = "another program has locked it: close what has it open, such as a database browser"
	case sqlite3.SQLITE_CORRUPT:
		remedy = "the file is damaged: stop, keep a copy of it and of the -wal file beside it, and restore the last backup"
	case sqlite3.SQLITE_NOTADB:
		remedy = "the file is not a database or its head is damaged: give the right path, or restore the last backup"
	case sqlite3.SQLITE_IOERR:
		remedy = "the disk or its file system fails: look at the system's log; restore the last backup on another disk if it goes on"
	default:
		switch {
		case errors.Is(err, syscall.ENOSPC):
			remedy = "the disk is full: free some space"
		case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
			remedy = "it can not be written: mount the directory for writing and let this user own the file and its directory"
		case errors.Is(err, fs.ErrNotExist):
			remedy = "make the directory first"
		default:
			return err
		}
	}
	return fmt.Errorf("%s: %w", remedy, err)
}
