//go:build unix

package redistest

import (
	"strings"
	"testing"
	"time"
)

func TestAServerKeepsWhatItAcknowledgedWhenKilled(t *testing.T) {
	t.Parallel()
	s := Start(t, Fsync("always"), Password("s3cret"))
	s.do("SET k v")
	addr := s.Addr()
	s.Stop()
	if reply, err := s.ask("GET k"); err == nil {
		t.Fatalf("a stopped server answers %q", reply)
	}
	s.Restart()
	if s.Addr() != addr {
		t.Fatalf("it came back at %s, want %s", s.Addr(), addr)
	}
	if got, err := s.ask("GET k"); err != nil || got != "v" {
		t.Fatalf("after a restart k is %q, %v", got, err)
	}
}

func TestAPausedServerAnswersWhenItGoesOn(t *testing.T) {
	t.Parallel()
	s := Start(t)
	s.Pause()
	answered := make(chan string, 1)
	go func() {
		reply, err := s.ask("PING")
		if err != nil {
			reply = err.Error()
		}
		answered <- reply
	}()
	select {
	case got := <-answered:
		t.Fatalf("a paused server answers %q", got)
	case <-time.After(100 * time.Millisecond): // what does not happen can only be given time
	}
	s.Continue()
	if got := <-answered; got != "+PONG\r\n" {
		t.Fatalf("it answers %q", got)
	}
	s.Conf("maxmemory-policy", "allkeys-lru")
	if info, err := s.ask("INFO memory"); err != nil || !strings.Contains(info, "maxmemory_policy:allkeys-lru") {
		t.Fatalf("INFO memory: %v: %s", err, info)
	}
}

func TestAClusterServesEverySlot(t *testing.T) {
	t.Parallel()
	for _, n := range Cluster(t) {
		// Each key has one node that takes it; the others name that one.
		took := 0
		for _, key := range []string{"a", "b", "c"} {
			reply, err := n.ask("SET " + key + " v")
			if err != nil || !strings.HasPrefix(reply, "+OK") && !strings.HasPrefix(reply, "-MOVED") {
				t.Fatalf("SET %s: %q, %v", key, reply, err)
			}
			if reply[0] == '+' {
				took++
			}
		}
		if took != 1 {
			t.Errorf("%s took %d of three keys that lie in three thirds of the slots", n.Addr(), took)
		}
	}
}

func TestAReplicaTakesItsMastersPlace(t *testing.T) {
	t.Parallel()
	p := Sentinel(t)
	p.Master.do("SET k v")
	p.FailOver()
	p.Replica.do("SET k2 v2")
	if got, err := p.Replica.ask("GET k"); err != nil || got != "v" {
		t.Fatalf("after a fail-over k is %q, %v", got, err)
	}
}
