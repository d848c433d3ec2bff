// Package sqlitestore keeps the store in one SQLite file, for one process.
//
// Every write goes through one goroutine, which puts those that wait into one
// transaction: an fsync is paid once for many. Reads have connections of their
// own and never wait for a writer (write-ahead log). A write that returned is
// on the disk (synchronous=FULL).
package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/chokepoint-bot/chokepoint/store"
)

var (
	_ store.Store = (*Store)(nil)
	_ store.Waker = (*Store)(nil)
)

// Store is a store.Store and a store.Waker in one file.
type Store struct {
	path string
	lock *os.File
	read *sql.DB
	w    *writer
	wake [store.Whats]signal

	mu    sync.Mutex
	stmts map[string]*sql.Stmt // of read, by their text

	closing sync.Once
	closed  error
}

// Open opens the file at path, or makes it in a directory that exists. It is
// refused while another process has it open, if it is damaged, if it is no
// store, and if a newer program has written it: a file is never mended, and
// never begun anew where something is amiss. The error names the remedy.
func Open(ctx context.Context, path string, log *slog.Logger) (*Store, error) {
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("sqlitestore: open %s: %w", path, err)
	}
	s := &Store{path: path, lock: lock, stmts: map[string]*sql.Stmt{}}
	for i := range s.wake {
		s.wake[i].init()
	}
	if err := s.open(ctx, log); err != nil {
		return nil, errors.Join(fmt.Errorf("sqlitestore: open %s: %w", path, explain(err)), s.Close())
	}
	return s, nil
}

// open opens the file of a store that has its lock.
func (s *Store) open(ctx context.Context, log *slog.Logger) error {
	began := time.Now()
	fresh, err := look(s.path)
	if err != nil {
		return err
	}
	if s.w, err = openWriter(ctx, s.path, s.broadcast); err != nil {
		return err
	}
	if !fresh {
		if err := s.w.check(ctx); err != nil {
			return err
		}
	}
	from, to, err := s.w.migrate(ctx)
	if err != nil {
		return err
	}
	if s.read, err = sql.Open("sqlite", dsn(s.path, "query_only(1)", "cache_size(-512)")); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(4)
	s.read.SetMaxIdleConns(2)
	s.read.SetConnMaxIdleTime(time.Minute)
	if err := verify(ctx, s.read, "query_only", "1"); err != nil {
		return err
	}
	s.w.start()
	log.InfoContext(ctx, "store is open", "path", s.path, "new", fresh, "schema_was", from, "schema", to, "took", time.Since(began))
	return nil
}

// look says whether there is no file yet, and refuses what only looks so.
func look(path string) (fresh bool, err error) {
	st, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, err := os.Stat(path + "-wal"); err == nil {
			return false, fmt.Errorf("the file is missing but its log %s-wal is there: restore the last backup, or move the log away to begin anew", path)
		}
		return true, nil
	case err != nil:
		return false, err
	case st.IsDir():
		return false, errors.New("it is a directory: give the path of a file in it")
	case st.Size() == 0:
		return false, errors.New("the file is empty: restore the last backup, or delete the file to begin anew")
	}
	return false, nil
}

// pragmas that every connection has.
var pragmas = []string{"busy_timeout(5000)", "synchronous(FULL)"}

// dsn is path as a URI with the pragmas that each connection begins with.
func dsn(path string, more ...string) string {
	p := filepath.ToSlash(path)
	if filepath.VolumeName(path) != "" {
		p = "/" + p // file:/C:/…, https://www.sqlite.org/uri.html
	}
	q := url.Values{"_pragma": append(append([]string{}, pragmas...), more...)}
	return "file:" + (&url.URL{Path: p}).EscapedPath() + "?" + q.Encode()
}

// verify reads back what a DSN asked for: the driver passes over in silence
// what it does not know.
func verify(ctx context.Context, db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}, more ...string) error {
	want := append([]string{"busy_timeout", "5000", "synchronous", "2", "journal_mode", "wal"}, more...)
	for i := 0; i < len(want); i += 2 {
		var got string
		if err := db.QueryRowContext(ctx, "PRAGMA "+want[i]).Scan(&got); err != nil {
			return err
		}
		if !strings.EqualFold(got, want[i+1]) {
			return fmt.Errorf("pragma %s is %s, want %s: the file system may not allow it; move the file to a local disk", want[i], got, want[i+1])
		}
	}
	return nil
}

// Path is the file's, as it was opened.
func (s *Store) Path() string { return s.path }

// Ping writes one number.
func (s *Store) Ping(ctx context.Context) error {
	return s.write(ctx, "ping", func(tx *tx) error {
		return tx.exec(`UPDATE counters SET value = 1 - value WHERE name = 'ping'`)
	})
}

// Reclaim frees every lease and every granted lane. A process that has just
// opened the file may do so: the lock proves that no other lives, so what is
// held was held by one that was killed. Tokens stay spent.
func (s *Store) Reclaim(ctx context.Context) error {
	return s.write(ctx, "free what a killed process held", func(tx *tx) error {
		return errors.Join(tx.exec(`UPDATE leases SET expires = 0`), tx.exec(`UPDATE lanes SET due = 0 WHERE head IS NOT NULL`))
	})
}

// Backup writes a copy of the store, whole and in itself consistent, to path,
// and replaces what was there only when the copy is complete. The store can be
// used meanwhile.
func (s *Store) Backup(ctx context.Context, path string) error {
	part := path + ".part"
	err := s.backup(ctx, part, path)
	if err != nil {
		_ = os.Remove(part)
		return fmt.Errorf("sqlitestore: back up %s to %s: %w", s.path, path, explain(err))
	}
	return nil
}

func (s *Store) backup(ctx context.Context, part, path string) error {
	own, err := os.Stat(s.path)
	if err != nil {
		return err
	}
	if there, err := os.Stat(path); err == nil && os.SameFile(own, there) {
		return errors.New("it is the store itself: give another path")
	}
	if err := os.Remove(part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.copyTo(ctx, part); err != nil {
		return err
	}
	if err := syncFile(part); err != nil {
		return err
	}
	return os.Rename(part, path)
}

// copyTo has a connection of its own: those that read may not write, not even
// another file.
func (s *Store) copyTo(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite", dsn(s.path))
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, `VACUUM INTO ?`, path)
	return errors.Join(err, db.Close())
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Close waits for writes under way; later ones fail.
func (s *Store) Close() error {
	s.closing.Do(func() {
		var errs []error
		if s.w != nil {
			s.w.stop()
		}
		if s.read != nil {
			errs = append(errs, s.read.Close())
		}
		if s.w != nil {
			errs = append(errs, s.w.close()) // the last to close empties the log into the file
		}
		if err := errors.Join(append(errs, s.lock.Close())...); err != nil {
			s.closed = fmt.Errorf("sqlitestore: close %s: %w", s.path, explain(err))
		}
	})
	return s.closed
}

// query reads with a prepared statement.
func (s *Store) query(ctx context.Context, text string, args ...any) (*sql.Rows, error) {
	st, err := s.prepared(ctx, text)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(ctx, args...)
}

// row reads one row into dest; found is false if there is none.
func (s *Store) row(ctx context.Context, text string, args []any, dest ...any) (found bool, err error) {
	st, err := s.prepared(ctx, text)
	if err != nil {
		return false, err
	}
	err = st.QueryRowContext(ctx, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

func (s *Store) prepared(ctx context.Context, text string) (*sql.Stmt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.stmts[text]; st != nil {
		return st, nil
	}
	st, err := s.read.PrepareContext(ctx, text)
	if err == nil {
		s.stmts[text] = st
	}
	return st, err
}

// failed says what was being done when err came, and what can be done about it.
func (s *Store) failed(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sqlitestore: %s: %w", doing, explain(err))
}

// all reads every row.
func all[T any](rows *sql.Rows, err error, scan func(*sql.Rows, *T) error) ([]T, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []T
	for rows.Next() {
		var v T
		if err := scan(rows, &v); err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// Copy writes a copy of the store at from to the path to, as Backup does, while
// another process has it open or none does.
func Copy(ctx context.Context, from, to string) error {
	return (&Store{path: from}).Backup(ctx, to)
}
