//go:build unix

package redistest

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Pair is a master and its replica, watched by a sentinel that makes the
// replica master when the master has been away for half a second. One sentinel
// is enough to test with, and too few to trust.
type Pair struct {
	Master, Replica *Server
	sentinel        *Server
}

// Sentinel runs a pair, and waits until the replica has all that the master
// has.
func Sentinel(t testing.TB, opts ...Option) *Pair {
	t.Helper()
	p := &Pair{Master: Start(t, opts...)}
	host, port, _ := net.SplitHostPort(p.Master.Addr())
	p.Replica = Start(t, append([]Option{Config("replicaof", host, port)}, opts...)...)
	p.await(func() bool {
		info, err := p.Replica.ask("INFO replication")
		return err == nil && strings.Contains(info, "master_link_status:up")
	}, "the replica does not come up to its master")
	p.sentinel = &Server{t: t, bin: p.Master.bin, dir: t.TempDir()}
	conf := filepath.Join(p.sentinel.dir, "sentinel.conf") // which the sentinel writes to
	text := fmt.Sprintf("bind 127.0.0.1\nsentinel monitor main %s %s 1\nsentinel down-after-milliseconds main 500\nsentinel failover-timeout main 2000\n", host, port)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		t.Fatalf("redistest: %v", err)
	}
	p.sentinel.args = []string{conf, "--sentinel"}
	t.Cleanup(p.sentinel.Stop)
	p.sentinel.port = freePort(t)
	if err := p.sentinel.run(); err != nil {
		t.Fatalf("redistest: starting a sentinel: %v", err)
	}
	// It learns of replicas from the master, which it asks every ten seconds,
	// and at first at once.
	p.await(func() bool {
		info, err := p.sentinel.ask("INFO sentinel")
		return err == nil && strings.Contains(info, "status=ok") && strings.Contains(info, "slaves=1")
	}, "the sentinel does not find the replica")
	return p
}

// FailOver waits until the replica has all that was written, kills the master,
// and waits until the replica takes its place.
func (p *Pair) FailOver() {
	p.Master.t.Helper()
	p.await(func() bool {
		master, err1 := p.Master.ask("INFO replication")
		replica, err2 := p.Replica.ask("INFO replication")
		return err1 == nil && err2 == nil && line(master, "master_repl_offset") == line(replica, "slave_repl_offset")
	}, "the replica does not get all that was written")
	p.Master.Stop()
	p.await(func() bool {
		info, err := p.Replica.ask("INFO replication")
		return err == nil && strings.Contains(info, "role:master")
	}, "the replica is not made master")
}

// line is what INFO says of one thing.
func line(info, name string) string {
	_, rest, _ := strings.Cut(info, name+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}

func (p *Pair) await(is func() bool, not string) {
	p.Master.t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.Master.t.Fatalf("redistest: %s: %s", not, p.Replica.log())
		}
	}
}

// URL is "redis+sentinel://host:port/main".
func (p *Pair) URL() string { return "redis+sentinel://" + p.sentinel.Addr() + "/main" }
