//go:build unix

package redistest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a server may take for anything: far more than it needs.
const patience = 20 * time.Second

// Server is a redis-server process. Its methods end the test when they cannot
// do what they say.
type Server struct {
	t    testing.TB
	bin  string
	dir  string
	port int
	args []string
	pass string

	proc *os.Process   // nil while stopped
	died chan struct{} // closed when proc has ended
}

// Option changes how a server is started.
type Option func(*Server)

// Config sets a directive of redis.conf, such as Config("maxmemory", "4mb").
// The last one of a name counts.
func Config(directive string, values ...string) Option {
	return func(s *Server) { s.args = append(append(s.args, "--"+directive), values...) }
}

// Fsync sets appendfsync: "everysec" (the default), "always" or "no".
func Fsync(policy string) Option { return Config("appendfsync", policy) }

// Password makes the server ask for one, of the user "default".
func Password(p string) Option {
	return func(s *Server) {
		s.pass = p
		Config("requirepass", p)(s)
	}
}

// Start runs a server that keeps an append-only file, and waits until it
// answers.
func Start(t testing.TB, opts ...Option) *Server {
	t.Helper()
	s := &Server{t: t, bin: find(t), dir: t.TempDir()}
	s.args = []string{
		"--bind", "127.0.0.1", "--daemonize", "no", "--save", "",
		"--appendonly", "yes", "--appendfsync", "everysec", "--repl-diskless-sync-delay", "0",
	}
	for _, o := range opts {
		o(s)
	}
	t.Cleanup(s.Stop)
	// Another process may take the port between the asking and the binding.
	for try := 0; ; try++ {
		s.port = freePort(t)
		err := s.run()
		if err == nil {
			return s
		}
		if try == 4 {
			t.Fatalf("redistest: %v", err)
		}
	}
}

// find is where the program is.
func find(t testing.TB) string {
	t.Helper()
	name := os.Getenv("CHOKEPOINT_REDIS_SERVER")
	if name == "" {
		name = "redis-server"
	}
	bin, err := exec.LookPath(name)
	if err == nil {
		return bin
	}
	const remedy = "install redis-server 6.2 or later, or name it in CHOKEPOINT_REDIS_SERVER"
	if os.Getenv("CHOKEPOINT_REQUIRE_REDIS") != "" {
		t.Fatalf("redistest: %v: %s", err, remedy)
	}
	t.Skipf("NOT TESTED AGAINST REDIS: %v: %s", err, remedy)
	return ""
}

// freePort is one that nobody listens on, and neither on the one of a cluster
// bus, which is 10,000 higher.
// https://redis.io/docs/latest/operate/oss_and_stack/management/scaling/
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatalf("redistest: finding a port: %v", err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		l.Close()
		if port > 55_000 {
			continue
		}
		if l, err = net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port+10_000)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("redistest: no port is free below 55,000")
	return 0
}

// run starts the process and waits until it answers or has ended.
func (s *Server) run() error {
	out, err := os.OpenFile(filepath.Join(s.dir, "log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close()
	cmd := exec.Command(s.bin, append(slices.Clone(s.args), "--port", strconv.Itoa(s.port), "--dir", s.dir)...)
	cmd.Stdout, cmd.Stderr = out, out
	dieWithParent(cmd)

	died, started := make(chan struct{}), make(chan error, 1)
	go func() {
		defer close(died)
		// The kernel ends the child when the thread that started it ends, so
		// this one stays until the child is gone.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is told by what it answers
		}
	}()
	if err := <-started; err != nil {
		return err
	}
	s.proc, s.died = cmd.Process, died
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		if s.answers() {
			return nil
		}
		select {
		case <-died:
			s.proc = nil
			return fmt.Errorf("redis-server ended: %s", s.log())
		case <-time.After(5 * time.Millisecond):
		}
	}
	return fmt.Errorf("redis-server does not answer: %s", s.log())
}

// answers says whether the server answers, and with something else than that
// it is still loading.
func (s *Server) answers() bool {
	reply, err := s.ask("PING")
	return err == nil && strings.HasPrefix(reply, "+PONG")
}

// ask sends one inline command and returns its reply: a bulk string's content,
// or the first line of any other.
// https://redis.io/docs/latest/develop/reference/protocol-spec/
func (s *Server) ask(command string) (string, error) {
	conn, err := net.DialTimeout("tcp", s.Addr(), time.Second)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return "", err
	}
	r := bufio.NewReader(conn)
	if s.pass != "" {
		if _, err := fmt.Fprintf(conn, "AUTH %s\r\n", s.pass); err != nil {
			return "", err
		}
		if reply, err := r.ReadString('\n'); err != nil || reply[0] == '-' {
			return reply, err
		}
	}
	if _, err := io.WriteString(conn, command+"\r\n"); err != nil {
		return "", err
	}
	reply, err := r.ReadString('\n')
	if err != nil || reply[0] != '$' {
		return reply, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(reply[1:]))
	if err != nil || n < 0 {
		return "", err
	}
	body := make([]byte, n)
	_, err = io.ReadFull(r, body)
	return string(body), err
}

// do is ask for what must succeed.
func (s *Server) do(command string) {
	s.t.Helper()
	reply, err := s.ask(command)
	if err == nil && reply[0] == '-' {
		err = fmt.Errorf("%s", strings.TrimSpace(reply))
	}
	if err != nil {
		s.t.Fatalf("redistest: %.60s: %v", command, err)
	}
}

// log is the end of what the server printed.
func (s *Server) log() string {
	b, err := os.ReadFile(filepath.Join(s.dir, "log"))
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}

// Addr is "127.0.0.1:port".
func (s *Server) Addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// URL is "redis://127.0.0.1:port", with the password if there is one.
func (s *Server) URL() string {
	if s.pass != "" {
		return "redis://:" + s.pass + "@" + s.Addr()
	}
	return "redis://" + s.Addr()
}

// Stop kills the process as a crash would (SIGKILL). Nothing if it is stopped.
func (s *Server) Stop() {
	if s.proc == nil {
		return
	}
	_ = s.proc.Kill() // it may have ended by itself
	<-s.died
	s.proc = nil
}

// Restart runs the server again, after killing it if it runs, on the same port
// and with what it kept.
func (s *Server) Restart() {
	s.t.Helper()
	s.Stop()
	if err := s.run(); err != nil {
		s.t.Fatalf("redistest: restarting: %v", err)
	}
}

// Pause freezes the process: connections stay open and nothing is answered.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Continue ends a Pause.
func (s *Server) Continue() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if s.proc == nil {
		s.t.Fatalf("redistest: %v to a stopped server", sig)
	}
	if err := s.proc.Signal(sig); err != nil {
		s.t.Fatalf("redistest: %v: %v", sig, err)
	}
}

// Conf changes a directive of the running server, until it is stopped.
func (s *Server) Conf(directive, value string) {
	s.t.Helper()
	s.do(fmt.Sprintf("CONFIG SET %s %q", directive, value))
}
