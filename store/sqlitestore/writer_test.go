package sqlitestore

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// gang has writes share one transaction: they wait while another is under way.
func gang(t *testing.T, s *Store, do ...func(*tx) error) []error {
	t.Helper()
	held, release := make(chan struct{}), make(chan struct{})
	first := make(chan error)
	go func() {
		first <- s.write(t.Context(), "hold", func(*tx) error { close(held); <-release; return nil })
	}()
	<-held
	var wg sync.WaitGroup
	errs := make([]error, len(do))
	for i := range do {
		queued := len(s.w.queue)
		wg.Go(func() { errs[i] = s.write(t.Context(), "write "+strconv.Itoa(i), do[i]) })
		for len(s.w.queue) == queued { // in their order
			select {
			case <-t.Context().Done():
				t.Fatal("a write does not come")
			default:
			}
		}
	}
	close(release)
	wg.Wait()
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	return errs
}

func mark(name string) func(*tx) error {
	return func(tx *tx) error { return tx.exec(`INSERT INTO marks (name, value) VALUES (?, 'x')`, name) }
}

func marked(t *testing.T, s *Store, name string) bool {
	t.Helper()
	v, err := s.Mark(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return v != ""
}

func TestWritesThatShareATransaction(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken midway")
	for _, tc := range []struct {
		name string
		bad  func(*tx) error
		want error
	}{
		{"one that breaks midway is undone alone", func(tx *tx) error { return errors.Join(mark("half")(tx), broken) }, broken},
		{"one that is refused is answered alone", func(*tx) error { return fmt.Errorf("w: %w", chokepoint.ErrLeaseLost) }, chokepoint.ErrLeaseLost},
		{"one whose statement fails is undone alone", func(tx *tx) error {
			return errors.Join(mark("half")(tx), mark("half")(tx)) // not unique
		}, nil},
		{"one that ends the transaction is undone alone", func(tx *tx) error {
			return errors.Join(mark("half")(tx), tx.exec(`ROLLBACK`), broken) // as a full disk does
		}, broken},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := open(t, filepath.Join(t.TempDir(), "store.db"))
			errs := gang(t, s, mark("a"), tc.bad, mark("b"), mark("c"))
			for i, name := range []string{"a", "", "b", "c"} {
				if name == "" {
					if errs[i] == nil || tc.want != nil && !errors.Is(errs[i], tc.want) {
						t.Errorf("the bad write returned %v, want %v", errs[i], tc.want)
					}
				} else if errs[i] != nil || !marked(t, s, name) {
					t.Errorf("mark %s: %v, and it is there: %t", name, errs[i], marked(t, s, name))
				}
			}
			if marked(t, s, "half") {
				t.Error("half of the bad write is there")
			}
		})
	}
}

func TestAClosedStoreRefusesWritesAndEndsThoseUnderWay(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "store.db"))
	held, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	var under error
	wg.Go(func() {
		under = s.write(t.Context(), "hold", func(tx *tx) error { close(held); <-release; return mark("under")(tx) })
	})
	<-held
	wg.Go(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	<-s.w.quit
	close(release)
	wg.Wait()
	if under != nil {
		t.Errorf("the write under way: %v", under)
	}
	if err := s.PutMark(t.Context(), "late", "x"); !errors.Is(err, errClosed) {
		t.Errorf("a write after close: %v, want %v", err, errClosed)
	}
	again := open(t, s.path)
	if !marked(t, again, "under") || marked(t, again, "late") {
		t.Error("what was under way is missing, or what came late is there")
	}
}
