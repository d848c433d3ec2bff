//go:build unix

package redisstore

import (
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/chokepoint-bot/chokepoint/internal/redistest"
	"github.com/chokepoint-bot/chokepoint/store"
	"github.com/chokepoint-bot/chokepoint/store/storetest"
)

// prefixes keeps the stores of tests that share a server apart.
var prefixes atomic.Int64

// apart is a URL of a store of its own on a server.
func apart(url string) string { return fmt.Sprintf("%s?prefix=t%d", url, prefixes.Add(1)) }

// open opens a store that is closed with the test.
func open(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(t.Context(), url, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// suite runs the conformance suite on a server.
func suite(t *testing.T, url string) {
	storetest.Run(t, func(t *testing.T) storetest.Harness {
		url := apart(url)
		s := open(t, url)
		return storetest.Harness{
			Store: s,
			Reopen: func() store.Store {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
				return open(t, url)
			},
			Another: func() store.Store { return open(t, url) },
		}
	})
}

func TestConformsOnOneServer(t *testing.T) {
	t.Parallel()
	suite(t, redistest.Start(t).URL())
}

func TestConformsOnACluster(t *testing.T) {
	t.Parallel()
	suite(t, redistest.Cluster(t).URL())
}
