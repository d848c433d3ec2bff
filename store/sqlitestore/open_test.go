package sqlitestore

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

// refused expects that path can not be opened, for a reason and with a remedy
// that the error names.
func refused(t *testing.T, path string, words ...string) {
	t.Helper()
	s, err := Open(t.Context(), path, slog.New(slog.DiscardHandler))
	if err == nil {
		_ = s.Close()
		t.Fatalf("%s was opened", path)
	}
	for _, w := range append(words, path) {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error is %q, want it to say %q", err, w)
		}
	}
}

// used is the path of a store that was used and closed.
func used(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "store.db")
	s := open(t, path)
	l, err := s.Acquire(t.Context(), benchTime, "source/x", "me", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		o := chokepoint.Observation{ID: chokepoint.ObservationID(strconv.Itoa(i)), Source: "x", Kind: chokepoint.KindNews, News: &chokepoint.News{Text: strings.Repeat("text ", 200)}}
		if _, err := s.Record(t.Context(), benchTime, store.SourceStep{Lease: l, Source: "x", Observations: []chokepoint.Observation{o}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// damage overwrites bytes of a file.
func damage(t *testing.T, path string, from int64, n int) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err == nil {
		_, err = f.WriteAt([]byte(strings.Repeat("\xa5", n)), from)
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	const backup = "restore the last backup"
	t.Run("a page that is damaged", func(t *testing.T) {
		path := used(t)
		damage(t, path, 20*4096, 4096)
		refused(t, path, "damaged", backup)
	})
	t.Run("a head that is damaged", func(t *testing.T) {
		path := used(t)
		damage(t, path, 0, 100)
		refused(t, path, "not a database", backup)
	})
	t.Run("a file that was cut short", func(t *testing.T) {
		path := used(t)
		if err := os.Truncate(path, 30*4096); err != nil {
			t.Fatal(err)
		}
		refused(t, path, "damaged", backup)
	})
	t.Run("a file that is not a database", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "notes.txt")
		if err := os.WriteFile(path, []byte(strings.Repeat("shopping list\n", 400)), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, path, "not a database")
	})
	t.Run("an empty file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, path, "empty", backup)
	})
	t.Run("a log without its file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "store.db")
		if err := os.WriteFile(path+"-wal", []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		refused(t, path, "missing", backup)
	})
	t.Run("a directory", func(t *testing.T) { refused(t, t.TempDir(), "directory") })
	t.Run("a directory that does not exist", func(t *testing.T) {
		refused(t, filepath.Join(t.TempDir(), "no", "store.db"), "directory")
	})
	t.Run("the database of another program", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "other.db")
		w, err := openWriter(t.Context(), path, nil)
		if err == nil {
			_, err = w.tx.conn.ExecContext(t.Context(), `CREATE TABLE bookmarks (url TEXT)`)
			err = errors.Join(err, w.close())
		}
		if err != nil {
			t.Fatal(err)
		}
		refused(t, path, "another program", "path")
	})
	t.Run("what a newer program wrote", func(t *testing.T) {
		path := used(t)
		s := open(t, path)
		if _, err := s.w.tx.conn.ExecContext(t.Context(), `PRAGMA user_version = 999`); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		refused(t, path, "newer", "999", "backup")
	})
	t.Run("a second time", func(t *testing.T) {
		path := used(t)
		s := open(t, path)
		refused(t, path, "another process", strconv.Itoa(os.Getpid()), "Redis")
		if err := s.Ping(t.Context()); err != nil {
			t.Errorf("the first is disturbed: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		open(t, path)
	})
	t.Run("a directory that can not be written", func(t *testing.T) {
		path := used(t)
		if err := os.Remove(path + ".lock"); err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(path)
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.Chmod(dir, 0o700) })
		if os.WriteFile(filepath.Join(dir, "probe"), nil, 0o600) == nil {
			t.Skip("this user may write everywhere")
		}
		refused(t, path, "can not be written", "mount")
	})
}

func TestOpenTakesPathsAsTheyAre(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a b.db", "100%.db", "what?.db", "a#b.db", "光.db", "%41.db"} {
		if runtime.GOOS == "windows" && strings.Contains(name, "?") {
			continue
		}
		path := filepath.Join(t.TempDir(), name)
		s := open(t, path)
		if err := s.PutMark(t.Context(), "m", name); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if st, err := os.Stat(path); err != nil || st.Size() == 0 {
			t.Errorf("%s is not where it should be: %v", path, err)
		}
	}
}

func TestAFullDiskLosesNothingAndPasses(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	ctx := t.Context()
	limit := func(pages string) {
		err := s.write(ctx, "limit", func(tx *tx) error {
			_, err := tx.row(`PRAGMA max_page_count = `+pages, nil, new(int))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	limit("1") // which is what it has now
	var kept []string
	var full error
	for i := 0; full == nil && i < 10_000; i++ {
		name := strconv.Itoa(i)
		if full = s.PutMark(ctx, name, strings.Repeat("x", 2000)); full == nil {
			kept = append(kept, name)
		}
	}
	if full == nil || !strings.Contains(full.Error(), "disk is full") || !strings.Contains(full.Error(), "free some space") {
		t.Fatalf("a full disk is %v", full)
	}
	check := func() {
		for _, name := range kept {
			if v, err := s.Mark(ctx, name); err != nil || v == "" {
				t.Fatalf("mark %s, which was acknowledged: %q, %v", name, v, err)
			}
		}
	}
	check()
	limit("1000000")
	for i := range 100 {
		name := "later" + strconv.Itoa(i)
		if err := s.PutMark(ctx, name, strings.Repeat("x", 2000)); err != nil {
			t.Fatalf("with room again: %v", err)
		}
		kept = append(kept, name)
	}
	check()
}

func TestBackup(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	ctx := t.Context()
	copied := filepath.Join(t.TempDir(), "backup.db")
	if err := os.WriteFile(copied, []byte("the backup before"), 0o600); err != nil {
		t.Fatal(err)
	}

	// While it is being written: each mark's pair is written in one go, so a
	// backup that is consistent has both or neither.
	writing, stop := context.WithCancel(ctx)
	written := make(chan int)
	go func() {
		n := 0
		for ; writing.Err() == nil; n++ {
			_ = s.write(ctx, "pair", func(tx *tx) error {
				for _, side := range []string{"a", "b"} {
					if err := tx.exec(`INSERT INTO marks (name, value) VALUES (?, ?)`, side+strconv.Itoa(n), strings.Repeat("x", 500)); err != nil {
						return err
					}
				}
				return nil
			})
		}
		written <- n
	}()
	var err error
	for range 5 {
		if err = s.Backup(ctx, copied); err != nil {
			break
		}
	}
	stop()
	n := <-written
	if err != nil {
		t.Fatal(err)
	}

	b := open(t, copied)
	pairs := 0
	for i := range n {
		a, err := b.Mark(ctx, "a"+strconv.Itoa(i))
		if err != nil {
			t.Fatal(err)
		}
		other, err := b.Mark(ctx, "b"+strconv.Itoa(i))
		if err != nil {
			t.Fatal(err)
		}
		if a != other {
			t.Fatalf("the backup has half of pair %d", i)
		}
		if a != "" {
			pairs++
		}
	}
	t.Logf("%d of %d pairs are in the last backup", pairs, n)
	if err := b.PutMark(ctx, "m", "v"); err != nil {
		t.Errorf("a backup can not be used: %v", err)
	}
	if err := s.Backup(ctx, filepath.Join(t.TempDir(), "no", "backup.db")); err == nil {
		t.Error("a backup into a directory that is not there succeeded")
	}
	if err := s.Backup(ctx, s.Path()); err == nil || !strings.Contains(err.Error(), "store itself") {
		t.Errorf("a backup over the store itself: %v", err)
	}
	if err := s.PutMark(ctx, "m", "v"); err != nil {
		t.Errorf("after a backup: %v", err)
	}
}

func TestAnotherProgramsLockIsNamedAndPasses(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	ctx := t.Context()
	if _, err := s.w.tx.conn.ExecContext(ctx, `PRAGMA busy_timeout = 20`); err != nil { // not five seconds
		t.Fatal(err)
	}
	other, err := openWriter(ctx, s.path, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer other.close()
	if err := other.tx.exec(`BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	if err := s.PutMark(ctx, "m", "v"); err == nil || !strings.Contains(err.Error(), "another program has locked it") {
		t.Errorf("a write while another program has the lock: %v", err)
	}
	if _, err := s.Mark(ctx, "m"); err != nil {
		t.Errorf("reading goes on: %v", err)
	}
	if err := other.tx.exec(`ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	if err := s.PutMark(ctx, "m", "v"); err != nil {
		t.Errorf("a write when the lock is gone: %v", err)
	}
}

// TestMain becomes the process that is killed if it is told to.
func TestMain(m *testing.M) {
	if path := os.Getenv("SQLITESTORE_WRITE"); path != "" {
		writeUntilKilled(path)
	}
	os.Exit(m.Run())
}

// writeUntilKilled records without end, from several goroutines, and prints
// the name of each observation once it is recorded.
func writeUntilKilled(path string) {
	ctx := context.Background()
	s, err := Open(ctx, path, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	for g := range 4 {
		go func() {
			source := "s" + strconv.Itoa(g)
			now := time.Now()
			l, err := s.Acquire(ctx, now, source, "writer", time.Hour)
			for i := 0; err == nil; i++ {
				id := fmt.Sprintf("%s.%d.%d", source, os.Getpid(), i)
				o := chokepoint.Observation{ID: chokepoint.ObservationID(id), Source: source, Kind: chokepoint.KindNews}
				if _, err = s.Record(ctx, now, store.SourceStep{Lease: l, Source: source, Cursor: id, Observations: []chokepoint.Observation{o}}); err == nil {
					fmt.Println(id)
				}
			}
			fmt.Println("write:", err)
			os.Exit(1)
		}()
	}
	select {}
}

func TestAKilledProcessLosesNothingItAcknowledged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "store.db")
	var told []string
	for round := range 5 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "SQLITESTORE_WRITE="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; n < 200+37*round; n++ {
			if !lines.Scan() {
				t.Fatalf("it ended by itself: %s", told[len(told)-1])
			}
			told = append(told, lines.Text())
		}
		refused(t, path, "another process", strconv.Itoa(cmd.Process.Pid))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() { // what it still said
			told = append(told, lines.Text())
		}
		_ = cmd.Wait()
	}
	s := open(t, path)
	have := map[string]bool{}
	last := map[string]string{}
	var p chokepoint.Position
	for {
		es, next, err := s.Read(t.Context(), p, nil, 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range es {
			have[string(e.Observation.ID)] = true
			last[e.Observation.Source] = string(e.Observation.ID)
		}
		if next == p {
			break
		}
		p = next
	}
	for _, id := range told {
		if !have[id] {
			t.Errorf("%s was acknowledged and is not there", id)
		}
	}
	for source, id := range last {
		if cur, err := s.Cursor(t.Context(), source); err != nil || cur != id {
			t.Errorf("the cursor of %s is %s, its last observation %s, %v", source, cur, id, err)
		}
	}
	t.Logf("%d acknowledged, %d there", len(told), len(have))
}
