//go:build unix

package redisstore

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/redistest"
)

// refuses opens a store that can not be opened, for good or until something
// changes by itself, and returns why.
func refuses(t *testing.T, url string, forGood bool) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	s, err := Open(ctx, url, slog.New(slog.DiscardHandler))
	if err == nil {
		_ = s.Close()
		t.Fatal("it was opened")
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Fatalf("the password is in the error: %v", err)
	}
	if errors.Is(err, ErrSetup) != forGood {
		t.Errorf("%v: is it ErrSetup: %t, want %t", err, !forGood, forGood)
	}
	return err.Error()
}

func has(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("%q does not say %q", text, want)
		}
	}
}

func TestOpenSaysWhyNotAndWhatToDo(t *testing.T) {
	t.Parallel()
	t.Run("nobody listens", func(t *testing.T) {
		t.Parallel()
		s := redistest.Start(t)
		s.Stop()
		has(t, refuses(t, "redis://u:hunter2@"+s.Addr(), false), s.Addr(), "nothing listens", "start redis-server")
	})
	t.Run("the password is wrong, or missing", func(t *testing.T) {
		t.Parallel()
		s := redistest.Start(t, redistest.Password("s3cret"))
		has(t, refuses(t, "redis://:hunter2@"+s.Addr(), true), s.Addr(), "does not take this user and password")
		has(t, refuses(t, "redis://"+s.Addr(), true), s.Addr(), "asks for a password")
		if err := open(t, s.URL()).Ping(t.Context()); err != nil {
			t.Errorf("with the right one: %v", err)
		}
	})
	t.Run("it would delete what is owed", func(t *testing.T) {
		t.Parallel()
		s := redistest.Start(t, redistest.Config("maxmemory-policy", "allkeys-lru"))
		has(t, refuses(t, s.URL(), true), "maxmemory-policy is allkeys-lru", "noeviction")
	})
	t.Run("it is a replica", func(t *testing.T) {
		t.Parallel()
		master := redistest.Start(t)
		host, port, _ := net.SplitHostPort(master.Addr())
		s := redistest.Start(t, redistest.Config("replicaof", host, port))
		has(t, refuses(t, s.URL(), false), "it is a replica", master.Addr())
	})
	t.Run("it is no cluster, or part of one", func(t *testing.T) {
		t.Parallel()
		s := redistest.Start(t)
		has(t, refuses(t, "redis+cluster://"+s.Addr(), true), "no cluster", "redis://")
		node := redistest.Start(t, redistest.Config("cluster-enabled", "yes"))
		has(t, refuses(t, node.URL(), true), "part of a cluster", "redis+cluster://")
	})
	t.Run("the user may not run scripts", func(t *testing.T) {
		t.Parallel()
		server := redistest.Start(t, redistest.Config("user", "weak", "on", ">hunter2", "~*", "+@all", "-@scripting"),
			redistest.Config("user", "enough", "on", ">hunter2", "~cp:*", "+@read", "+@write", "+@scripting", "+@transaction", "+@connection", "+info"))
		s := open(t, "redis://weak:hunter2@"+server.Addr())
		_, err := s.Acquire(t.Context(), begin, "w", "me", time.Minute)
		if err == nil {
			t.Fatal("a lease was acquired without a script")
		}
		has(t, err.Error(), "lacks a right", "+@scripting")
		// One who has what the error asks for can do everything.
		w := newWorld(t, "redis://enough:hunter2@"+server.Addr())
		w.see(false, false)
		if err := w.s.Ping(t.Context()); err != nil {
			t.Errorf("ping: %v", err)
		}
	})
}

func TestOpenWarnsWhenNothingIsKept(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.Config("appendonly", "no"))
	var log bytes.Buffer
	s, err := Open(t.Context(), server.URL(), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	has(t, log.String(), "level=WARN", "appendonly is off", server.Addr())
}

func TestServersAreJudgedByWhatTheySay(t *testing.T) {
	t.Parallel()
	good := map[string]string{"redis_version": "7.2.4", "role": "master", "maxmemory_policy": "noeviction", "aof_enabled": "1"}
	for _, tc := range []struct {
		name, key, value string
		refused, warned  bool
	}{
		{name: "one that has all that is needed"},
		{name: "the oldest version that will do", key: "redis_version", value: "6.2.0"},
		{name: "a version too old", key: "redis_version", value: "6.0.16", refused: true},
		{name: "a much older version", key: "redis_version", value: "5.0.14", refused: true},
		{name: "a version of two digits", key: "redis_version", value: "10.0.0"},
		{name: "a version that is no number is not held against it", key: "redis_version", value: "unstable"},
		{name: "an evicting policy", key: "maxmemory_policy", value: "volatile-ttl", refused: true},
		{name: "a replica", key: "role", value: "slave", refused: true},
		{name: "a node of a cluster", key: "cluster_enabled", value: "1", refused: true},
		{name: "no append-only file", key: "aof_enabled", value: "0", warned: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			info := maps.Clone(good)
			info[tc.key] = tc.value
			var text strings.Builder
			for k, v := range info {
				text.WriteString(k + ":" + v + "\r\n")
			}
			refusals, warnings := judge(parseInfo("# Server\r\n"+text.String()), false)
			if (len(refusals) > 0) != tc.refused || (len(warnings) > 0) != tc.warned {
				t.Errorf("refusals %v, warnings %v", refusals, warnings)
			}
		})
	}
}

func TestCallsEndByTheirDeadlineWhileRedisIsFrozen(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := open(t, server.URL())
	if _, err := s.Acquire(t.Context(), begin, "w", "me", time.Minute); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	for name, call := range map[string]func(ctx context.Context) error{
		"ping":  s.Ping,
		"write": func(ctx context.Context) error { _, err := s.Acquire(ctx, begin, "w", "me", time.Minute); return err },
		"read":  func(ctx context.Context) error { _, err := s.Chats(ctx); return err },
		"grants": func(ctx context.Context) error {
			_, err := s.Grants(ctx, begin, "telegram", "me", time.Minute, 10)
			return err
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		ended := make(chan error, 1)
		go func() { ended <- call(ctx) }()
		select {
		case err := <-ended:
			if err == nil {
				t.Errorf("%s succeeded while Redis was frozen", name)
			} else if !timedOut(err) {
				t.Errorf("%s: %v, want that the time was up", name, err)
			}
			has(t, err.Error(), server.Addr(), "does not answer in time")
		case <-time.After(20 * time.Second):
			t.Fatalf("%s did not end", name)
		}
		cancel()
	}
	server.Continue()
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("ping after it went on: %v", err)
	}
}

func TestAClosedStoreSaysSo(t *testing.T) {
	t.Parallel()
	s := open(t, redistest.Start(t).URL())
	waiting := make(chan error, 1)
	seen, err := s.Await(t.Context(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			n, err := s.Await(context.Background(), 0, seen)
			if err != nil || n != seen {
				waiting <- err
				return
			}
		}
	}()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waiting; !errors.Is(err, errClosed) {
		t.Errorf("one who waited got %v", err)
	}
	if _, err := s.Chats(t.Context()); !errors.Is(err, errClosed) {
		t.Errorf("a call got %v", err)
	}
}
