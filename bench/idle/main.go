// Command idle measures what the bot costs while nothing happens: the size of
// its binary, how soon after its start it asks the first source, its resident
// memory and its processor time. The configuration is the default one but for
// the addresses of the sources, which lead to a small world on loopback, so
// that figures do not hang on the network. It reads /proc, so it needs Linux.
//
//	go run ./bench/idle
//
// It fails if a figure misses its aim.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/config"
	"github.com/chokepoint-bot/chokepoint/internal/upstreamtest"
)

func main() {
	bin := flag.String("bin", "", "a built binary; none builds the module in the working directory")
	warm := flag.Duration("warm", 20*time.Second, "how long to wait before measuring")
	span := flag.Duration("for", 30*time.Second, "how long to measure")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := measure(ctx, *bin, *warm, *span); err != nil {
		fmt.Fprintln(os.Stderr, "idle:", err)
		os.Exit(1)
	}
}

func measure(ctx context.Context, bin string, warm, span time.Duration) (err error) {
	dir, err := os.MkdirTemp("", "chokepoint-idle-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if bin == "" {
		bin = filepath.Join(dir, "chokepoint")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", bin, ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("building: %w\n%s", err, out)
		}
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return err
	}
	file, err := os.Stat(bin)
	if err != nil {
		return err
	}

	up, err := upstreamtest.New()
	if err != nil {
		return err
	}
	defer up.Close()
	first := make(chan time.Time, 1)
	var once sync.Once
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		once.Do(func() { first <- time.Now() })
		up.ServeHTTP(w, r)
	}))
	defer front.Close()
	conf, err := configuration(up, front.URL)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, "config.yaml")
	if err := os.WriteFile(path, conf, 0o600); err != nil {
		return err
	}

	var log bytes.Buffer // read once the process has ended
	alive, stop := context.WithCancel(ctx)
	defer stop()
	cmd := exec.CommandContext(alive, bin, "-config", path)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 15 * time.Second // then it is killed
	cmd.Dir, cmd.Stderr = dir, &log
	cmd.Env = []string{"CHOKEPOINT_LISTEN="} // no tokens of whoever runs this
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	var left error // what Wait said
	ended := make(chan struct{})
	go func() {
		left = cmd.Wait()
		close(ended)
	}()
	wait := func(d time.Duration) error {
		select {
		case <-time.After(d):
			return nil
		case <-ended:
			return fmt.Errorf("the bot ended by itself: %s\n%s", cmd.ProcessState, log.String())
		}
	}
	defer func() {
		stop()
		<-ended
		if err == nil && left != nil && !errors.Is(left, context.Canceled) {
			err = fmt.Errorf("stopping the bot: %w\n%s", left, log.String())
		}
	}()

	if err := wait(warm); err != nil {
		return err
	}
	proc := filepath.Join("/proc", strconv.Itoa(cmd.Process.Pid))
	before, err := busy(proc)
	if err != nil {
		return err
	}
	from := time.Now()
	if err := wait(span); err != nil {
		return err
	}
	after, err := busy(proc)
	if err != nil {
		return err
	}
	over := time.Since(from)
	resident, err := kilobytes(filepath.Join(proc, "status"), "VmRSS")
	if err != nil {
		return err
	}
	peak, err := kilobytes(filepath.Join(proc, "status"), "VmHWM")
	if err != nil {
		return err
	}

	var missed []string
	report := func(what string, value float64, unit string, aim float64) {
		fmt.Printf("%-22s %8.2f %-3s aim < %g\n", what, value, unit, aim)
		if value >= aim {
			missed = append(missed, what)
		}
	}
	report("binary", float64(file.Size())/1e6, "MB", 40)
	select {
	case at := <-first:
		report("first source asked", float64(at.Sub(began).Microseconds())/1000, "ms", 300)
	default:
		return errors.New("no source was asked")
	}
	report("resident", resident*1024/1e6, "MB", 40)
	fmt.Printf("%-22s %8.2f MB\n", "resident, at most", peak*1024/1e6)
	if pss, err := kilobytes(filepath.Join(proc, "smaps_rollup"), "Pss"); err == nil { // not in every kernel
		fmt.Printf("%-22s %8.2f MB\n", "proportional share", pss*1024/1e6)
	}
	report("processor", 100*(after-before).Seconds()/over.Seconds(), "%", 1)
	fmt.Printf("over %s, %s after its start; %d requests answered since\n", span, warm, len(up.Requests("")))
	if len(missed) > 0 {
		return fmt.Errorf("missed: %s", strings.Join(missed, ", "))
	}
	return nil
}

// configuration is the default one with every source at base, in JSON, which
// is YAML too.
func configuration(up *upstreamtest.Server, base string) ([]byte, error) {
	sources := map[string]any{}
	for name, s := range config.Default().Sources {
		switch s.Kind {
		case "edgar":
			for symbol, cik := range s.CIKs {
				up.SEC().Company(cik, string(symbol), string(symbol))
			}
			sources[name] = map[string]any{"base_url": base + "/data.sec.gov", "archive_url": base + "/www.sec.gov"}
		case "feed":
			feed := up.Feed(name)
			for i := range 20 {
				id := fmt.Sprint(name, "-", i)
				feed.Add(upstreamtest.Item{GUID: id, Title: "Orders for networking parts, week " + strconv.Itoa(i), Link: "https://example.com/" + id, Published: time.Now().AddDate(0, 0, i-30)})
			}
			sources[name] = map[string]any{"urls": []string{base + "/feeds/" + name}}
		case "permits":
			lists := map[string]string{}
			for list := range s.Lists {
				up.Permits(list).Set(upstreamtest.PermitRow{Applicant: "SOMEBODY ELSE LLC", Facility: "PLANT 1", Number: "100001", Received: "01/05/2026", Status: "Administratively Complete"})
				lists[list] = base + strings.TrimPrefix(up.Permits(list).URL(), strings.TrimSuffix(up.URL(""), "/"))
			}
			sources[name] = map[string]any{"lists": lists}
		case "quotes":
			for _, symbol := range s.Symbols {
				up.Quotes().Set(string(symbol), "30.00", time.Now().Add(-time.Minute))
				up.Quotes().Edit(string(symbol), func(l *upstreamtest.Listing) {
					for d := 20; d > 0; d-- {
						l.Bars = append(l.Bars, upstreamtest.DayBar{Day: time.Now().AddDate(0, 0, -d).Format(time.DateOnly), Open: "29", High: "31", Low: "29", Close: "30", Volume: 1000})
					}
				})
			}
			sources[name] = map[string]any{"providers": []map[string]string{{"name": "yahoo-spark", "url": base + "/query1.finance.yahoo.com"}, {"name": "yahoo-chart", "url": base + "/query1.finance.yahoo.com"}}}
		default:
			return nil, fmt.Errorf("source %s is of kind %s, for which there is no stand-in", name, s.Kind)
		}
	}
	return json.Marshal(map[string]any{"contact": "bench@example.org", "http": map[string]any{"allow_private": true}, "sources": sources})
}

// busy is the processor time that a process has used.
func busy(proc string) (time.Duration, error) {
	stat, err := os.ReadFile(filepath.Join(proc, "stat"))
	if err != nil {
		return 0, err
	}
	// The name, in brackets, may hold spaces: proc(5).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("%s/stat has too few fields", proc)
	}
	var ticks int64
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil // USER_HZ is 100
}

// kilobytes is a figure of a file whose lines are "name:  12 kB".
func kilobytes(file, name string) (float64, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(data)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 64)
		}
	}
	return 0, fmt.Errorf("%s tells no %s", file, name)
}
