package sqlitestore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

// batch is the most writes that share a transaction.
const batch = 128

var errClosed = errors.New("the store is closed")

// tx is the transaction under way, as a write sees it.
type tx struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	woke  [store.Whats]bool // what to tell of once it is committed
}

// Statements do not end with a caller's context: a write that was begun is
// ended, for it is not alone in its transaction.
var background = context.Background()

func (t *tx) prepared(text string) (*sql.Stmt, error) {
	if st := t.stmts[text]; st != nil {
		return st, nil
	}
	st, err := t.conn.PrepareContext(background, text)
	if err == nil {
		t.stmts[text] = st
	}
	return st, err
}

// exec runs a statement.
func (t *tx) exec(text string, args ...any) error {
	_, err := t.changed(text, args...)
	return err
}

// changed runs a statement and returns how many rows it changed.
func (t *tx) changed(text string, args ...any) (int64, error) {
	st, err := t.prepared(text)
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(background, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// query reads rows.
func (t *tx) query(text string, args ...any) (*sql.Rows, error) {
	st, err := t.prepared(text)
	if err != nil {
		return nil, err
	}
	return st.QueryContext(background, args...)
}

// row reads one row into dest; found is false if there is none.
func (t *tx) row(text string, args []any, dest ...any) (found bool, err error) {
	st, err := t.prepared(text)
	if err != nil {
		return false, err
	}
	err = st.QueryRowContext(background, args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// wakes notes what to tell of once the transaction is committed.
func (t *tx) wakes(what store.What) { t.woke[what] = true }

// request is one write that waits for its turn.
type request struct {
	do    func(*tx) error
	taken atomic.Bool // by the writer, or by a caller that waits no longer
	done  chan error
}

// writer owns the one connection that writes.
type writer struct {
	db        *sql.DB
	tx        tx
	broadcast func([store.Whats]bool)
	queue     chan *request
	quit      chan struct{}
	started   bool
	stopping  sync.Once
	ended     chan struct{}
}

// openWriter opens the file, and makes it if there is none. Nothing is written
// until start.
func openWriter(ctx context.Context, path string, broadcast func([store.Whats]bool)) (*writer, error) {
	// The log is cut back to this many bytes when a burst is over.
	db, err := sql.Open("sqlite", dsn(path, "cache_size(-4096)", "journal_size_limit(16777216)"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &writer{
		db: db, tx: tx{conn: conn, stmts: map[string]*sql.Stmt{}}, broadcast: broadcast,
		queue: make(chan *request, batch), quit: make(chan struct{}), ended: make(chan struct{}),
	}, nil
}

// check refuses a file that is damaged.
func (w *writer) check(ctx context.Context) error {
	rows, err := w.tx.conn.QueryContext(ctx, `PRAGMA quick_check(5)`)
	found, err := all(rows, err, func(r *sql.Rows, s *string) error { return r.Scan(s) })
	if err != nil {
		return err
	}
	if len(found) != 1 || found[0] != "ok" {
		return damaged(strings.Join(found, "; "))
	}
	return nil
}

//go:embed migrations/*.sql
var migrations embed.FS

// application marks a file as ours: "chok" in ASCII.
const application = 0x63686f6b

// migrate brings the file from the schema it has to the one that this program
// knows, one transaction a step.
func (w *writer) migrate(ctx context.Context) (from, to int, err error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, 0, err
	}
	to = len(names)
	conn := w.tx.conn
	var app, tables int
	err = conn.QueryRowContext(ctx, `SELECT (SELECT user_version FROM pragma_user_version), (SELECT application_id FROM pragma_application_id), (SELECT count(*) FROM sqlite_schema)`).Scan(&from, &app, &tables)
	if err != nil {
		return 0, 0, err
	}
	switch {
	case from > to:
		return from, to, fmt.Errorf("a newer program wrote it (its schema is %d, this program knows %d): run that version, or restore a backup made before it", from, to)
	case app != application && (app != 0 || tables != 0):
		return from, to, errors.New("it is the database of another program: give the path of a store, or of a file that does not exist yet")
	}
	if err := setWAL(ctx, conn); err != nil {
		return from, to, err
	}
	if err := verify(ctx, conn); err != nil {
		return from, to, err
	}
	for v := from; v < to; v++ {
		text, err := migrations.ReadFile(names[v])
		if err != nil {
			return from, to, err
		}
		_, err = conn.ExecContext(ctx, fmt.Sprintf("BEGIN IMMEDIATE;\n%s\nPRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT", text, application, v+1))
		if err != nil {
			_, _ = conn.ExecContext(ctx, "ROLLBACK")
			return from, to, fmt.Errorf("migrate from schema %d to %d: %w", v, v+1, err)
		}
	}
	return from, to, nil
}

// setWAL turns the write-ahead log on, which stays with the file: a new one
// and a backup do not have it. It is set here, once, and not with every
// connection, which races on a fresh file. Only another program's lock is
// worth another try.
func setWAL(ctx context.Context, conn *sql.Conn) error {
	for tries := 0; ; tries++ {
		var mode string
		err := conn.QueryRowContext(ctx, `PRAGMA journal_mode = WAL`).Scan(&mode)
		if err == nil || code(err) != sqlite3.SQLITE_BUSY || tries == 10 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// start begins to serve writes.
func (w *writer) start() {
	w.started = true
	go func() {
		defer close(w.ended)
		for {
			select {
			case r := <-w.queue:
				w.serve(r)
			case <-w.quit:
				return
			}
		}
	}()
}

// serve commits a write with all that wait behind it.
func (w *writer) serve(first *request) {
	reqs := []*request{first}
	for len(reqs) < batch {
		select {
		case r := <-w.queue:
			reqs = append(reqs, r)
			continue
		default:
		}
		break
	}
	var taken []*request
	for _, r := range reqs {
		if r.taken.CompareAndSwap(false, true) {
			taken = append(taken, r)
		}
	}
	for len(taken) > 0 {
		taken = w.commit(taken)
	}
}

// commit runs writes in one transaction and answers them. When one fails in a
// way that may have left something half done, that one alone is answered and
// the others are returned, to be tried again without it.
func (w *writer) commit(reqs []*request) (again []*request) {
	w.tx.woke = [store.Whats]bool{}
	fail := func(err error) {
		for _, r := range reqs {
			r.done <- err
		}
	}
	if err := w.tx.exec(`BEGIN IMMEDIATE`); err != nil {
		fail(err)
		return nil
	}
	refused := make([]error, len(reqs))
	for i, r := range reqs {
		err := r.do(&w.tx)
		if err != nil && !refusal(err) {
			w.rollback()
			r.done <- err
			return append(reqs[:i:i], reqs[i+1:]...)
		}
		refused[i] = err
	}
	if err := w.tx.exec(`COMMIT`); err != nil {
		w.rollback()
		fail(err)
		return nil
	}
	w.broadcast(w.tx.woke)
	for i, r := range reqs {
		r.done <- refused[i]
	}
	return nil
}

// refusal says that a write returned before it changed anything: all do that
// return one of these.
func refusal(err error) bool {
	return errors.Is(err, chokepoint.ErrLeaseLost) || errors.Is(err, chokepoint.ErrLeaseHeld) || errors.Is(err, chokepoint.ErrNotFound)
}

// rollback ends the transaction. Some errors (a full disk) have ended it
// already, and then there is none to end.
func (w *writer) rollback() { _, _ = w.tx.conn.ExecContext(background, `ROLLBACK`) }

// stop ends serving, after the write under way.
func (w *writer) stop() {
	w.stopping.Do(func() {
		close(w.quit)
		if w.started {
			<-w.ended
		}
	})
}

func (w *writer) close() error {
	for _, st := range w.tx.stmts {
		_ = st.Close()
	}
	return errors.Join(w.tx.conn.Close(), w.db.Close())
}

// write has do run in a transaction, alone or with others, and returns when
// that is committed. do is not run at all if ctx ends before its turn comes;
// once it has come, write waits for it.
func (s *Store) write(ctx context.Context, doing string, do func(*tx) error) error {
	r := &request{do: do, done: make(chan error, 1)}
	err := ctx.Err()
	if err == nil {
		select {
		case s.w.queue <- r:
			select {
			case err = <-r.done:
			case <-ctx.Done():
				if err = ctx.Err(); !r.taken.CompareAndSwap(false, true) {
					err = <-r.done
				}
			case <-s.w.ended:
				// The last turn may have been ours.
				if err = errClosed; !r.taken.CompareAndSwap(false, true) {
					err = <-r.done
				}
			}
		case <-ctx.Done():
			err = ctx.Err()
		case <-s.w.ended:
			err = errClosed
		}
	}
	return s.failed(doing, err)
}

// code is the primary result code of an error of SQLite, or 0.
func code(err error) int {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return 0
	}
	return e.Code() & 0xff
}
