package config

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// calm is how long a file must rest before a change counts: editors write in
// several steps.
const calm = 300 * time.Millisecond

// Watch calls changed each time the content of the file at path has changed
// and then rested, until ctx is done. It watches the folder, since editors and
// orchestrators replace the file, or a link on the way to it.
func Watch(ctx context.Context, path string, changed func()) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("config: watching %s: %w", path, err)
	}
	defer w.Close()
	if err := w.Add(filepath.Dir(path)); err != nil {
		return fmt.Errorf("config: watching %s: %w", path, err)
	}
	digest := func() [32]byte {
		data, err := os.ReadFile(path)
		if err != nil { // between two steps of a replacement
			return [32]byte{}
		}
		return sha256.Sum256(data)
	}
	last := digest()
	rest := time.NewTimer(0)
	<-rest.C
	defer rest.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, ok := <-w.Events:
			if !ok {
				return nil
			}
			rest.Reset(calm)
		case err, ok := <-w.Errors:
			if !ok {
				return nil
			}
			return fmt.Errorf("config: watching %s: %w", path, err)
		case <-rest.C:
			if now := digest(); now != last && now != ([32]byte{}) {
				last = now
				changed()
			}
		}
	}
}
