package console

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/chokepoint-bot/chokepoint/bot"
)

// terminal is both ends of a pseudo-terminal: what a person types goes into
// keys, what the program writes comes out of screen.
func terminal(t *testing.T) (tty *os.File, keys *os.File, seen *screen) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	// Through SyscallConn, so that closing master ends a read of it.
	raw, err := master.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	var failed error
	if err := raw.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed != nil {
			return
		}
		if n, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN); failed == nil {
			failed = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
		}
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen = &screen{}
	read := make(chan struct{})
	go func() {
		defer close(read)
		b := make([]byte, 4096)
		for {
			n, err := master.Read(b)
			_, _ = seen.Write(b[:n])
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		tty.Close()
		master.Close()
		<-read
	})
	return tty, master, seen
}

// shows waits until the screen holds what, after the first from bytes that were
// written there, and returns how many those are then.
func shows(t *testing.T, seen *screen, from int, what string) int {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		all := seen.String()
		if i := strings.Index(all[from:], what); i >= 0 {
			return from + i + len(what)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%q never appeared in %q", what, all[from:])
		}
	}
}

func init() { terminalTest = onTerminal }

// onTerminal is the program of a test that needs a terminal of its own: what
// arrives on file 3 is shown as an alert, what is typed is told on file 4.
func onTerminal() {
	alerts, typed := bufio.NewScanner(os.NewFile(3, "alerts")), os.NewFile(4, "typed")
	ctx, cancel := context.WithCancel(context.Background())
	a := New(Config{In: os.Stdin, Out: os.Stdout, Interactive: true, Now: time.Now, Quit: cancel})
	go func() {
		for alerts.Scan() {
			if _, err := a.Send(ctx, bot.Target{Chat: Chat}, bot.Message{Title: alerts.Text()}, "k"); err != nil {
				panic(err)
			}
		}
	}()
	err := a.Run(ctx, []bot.CommandSpec{{Name: "status"}}, func(_ context.Context, in bot.Inbound) { fmt.Fprintln(typed, in.Text) })
	fmt.Fprintln(typed, "left", err)
}

func TestAnAlertAppearsAboveALineThatIsHalfTyped(t *testing.T) {
	t.Parallel()
	tty, keys, seen := terminal(t)
	alertsRead, alerts, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	typedRead, typed, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "CONSOLE_TEST_TERMINAL=1", "TERM=xterm")
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = tty, tty, tty, []*os.File{alertsRead, typed}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	alertsRead.Close()
	typed.Close()
	t.Cleanup(func() {
		alerts.Close()
		typedRead.Close()
		_ = cmd.Process.Kill() // it has ended, unless the test failed
		_ = cmd.Wait()
	})
	lines := bufio.NewScanner(typedRead)
	write := func(f *os.File, s string) {
		t.Helper()
		if _, err := f.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	shows(t, seen, 0, "› ")
	for _, half := range []string{"/sta", "提醒 AAOI 跌"} {
		from := len(seen.String())
		write(keys, half)
		shows(t, seen, from, half)
		mark := "alert above " + half
		write(alerts, mark+"\n")
		from = shows(t, seen, from, mark)
		shows(t, seen, from, "› "+half) // there again, below
		write(keys, " 20\r")
		if !lines.Scan() || lines.Text() != half+" 20" {
			t.Errorf("the line arrived as %q", lines.Text())
		}
	}
	write(keys, "\x04") // Ctrl-D
	if !lines.Scan() || lines.Text() != "left <nil>" {
		t.Errorf("Ctrl-D: %q", lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}
