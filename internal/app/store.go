package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/config"
	"github.com/chokepoint-bot/chokepoint/store"
	"github.com/chokepoint-bot/chokepoint/store/redisstore"
	"github.com/chokepoint-bot/chokepoint/store/sqlitestore"
)

// whole is a store that can be waited on: what both back ends are.
type whole interface {
	store.Store
	store.Waker
}

// sqlitePath is the file of a sqlite: address, and whether it is one.
// Relative paths start from the working directory, as people expect of a file
// that the program makes.
func sqlitePath(url string) (string, bool) {
	path, ok := strings.CutPrefix(url, "sqlite:")
	return filepath.FromSlash(strings.TrimPrefix(path, "//")), ok
}

// openStore opens the back end that the configuration names.
func openStore(ctx context.Context, c config.Config, log *slog.Logger) (whole, error) {
	url := c.Store.URL.Reveal()
	if path, ok := sqlitePath(url); ok {
		s, err := sqlitestore.Open(ctx, path, log)
		if err != nil {
			return nil, err
		}
		if err := s.Reclaim(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		return s, nil
	}
	s, err := redisstore.Open(ctx, url, log)
	if err != nil {
		return nil, err
	}
	return s, nil
}

// waitForStore opens the store; a Redis that is away is waited for, with
// growing pauses of at most 30 s. An embedded store that cannot be opened
// needs a person.
func waitForStore(ctx context.Context, c config.Config, log *slog.Logger) (whole, error) {
	_, embedded := sqlitePath(c.Store.URL.Reveal())
	pause := time.Second
	for {
		s, err := openStore(ctx, c, log)
		if err == nil {
			return s, nil
		}
		if embedded || errors.Is(err, redisstore.ErrSetup) {
			return nil, err
		}
		log.Error("the store cannot be reached: waiting for it", "err", err, "pause", pause)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, 30*time.Second)
	}
}

// storeName is how people call the store: without user or password.
func storeName(c config.Config) string {
	url := c.Store.URL.Reveal()
	if path, ok := sqlitePath(url); ok {
		return path
	}
	scheme, rest, _ := strings.Cut(url, "://")
	if at := strings.LastIndex(rest, "@"); at >= 0 {
		rest = rest[at+1:]
	}
	return fmt.Sprintf("%s://%s", scheme, rest)
}
