// Package console is the terminal as a platform: alerts appear above the line
// being typed, and what is typed is a command.
package console

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/chzyer/readline"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Chat is the one chat that a terminal is.
var Chat = chokepoint.ChatID{Platform: chokepoint.Console, ID: "local"}

// textLimit is what one message may hold, in runes: a screenful or two, so
// that a hostile text cannot scroll everything away.
const textLimit = 8000

// Config says what the terminal is.
type Config struct {
	In  io.Reader
	Out io.Writer
	// Interactive says that In and Out are a terminal where a person types:
	// with a prompt, editing and history.
	Interactive bool
	Color       bool
	// Quit is called once when the person leaves (Ctrl-D, Ctrl-C). The end of
	// an In that is not interactive is not leaving: a service has none.
	Quit func()
	Now  func() time.Time
	Log  *slog.Logger
}

// Adapter is a terminal. It implements bot.Adapter.
type Adapter struct {
	cfg  Config
	sent atomic.Int64 // messages ever shown; their IDs
	said atomic.Int64

	mu  sync.Mutex // held while a message is written, so that two do not mix
	out io.Writer
}

// New is an adapter over a terminal. Nothing is read before Run.
func New(cfg Config) *Adapter {
	if cfg.Quit == nil {
		cfg.Quit = func() {}
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Adapter{cfg: cfg, out: cfg.Out}
}

// Platform is chokepoint.Console.
func (a *Adapter) Platform() chokepoint.Platform { return chokepoint.Console }

// Limits: text of 8,000 runes, no pictures, no pace, no edits.
func (a *Adapter) Limits() bot.Limits {
	return bot.Limits{Text: textLimit, Measure: measure}
}

func measure(m bot.Message) int { return utf8.RuneCountInString(m.PlainText()) }

// Send writes m. It never fails on a terminal that is there.
func (a *Adapter) Send(ctx context.Context, to bot.Target, m bot.Message, _ string) (bot.Posted, error) {
	if err := ctx.Err(); err != nil {
		return bot.Posted{}, &bot.SendError{Class: bot.Transient, Err: err}
	}
	if to.Chat != Chat {
		return bot.Posted{}, &bot.SendError{Class: bot.ChatGone, Err: fmt.Errorf("console: there is no chat %s", to.Chat)}
	}
	if to.Edit != "" {
		return bot.Posted{}, &bot.SendError{Class: bot.Rejected, Err: errors.New("console: what was written cannot be changed")}
	}
	if n := measure(m); n > textLimit {
		return bot.Posted{}, &bot.SendError{Class: bot.Rejected, Err: fmt.Errorf("console: %d runes are more than %d", n, textLimit)}
	}
	if err := a.write(a.draw(m)); err != nil {
		return bot.Posted{}, &bot.SendError{Class: bot.Transient, Err: fmt.Errorf("console: writing: %w", err)}
	}
	return bot.Posted{Message: strconv.FormatInt(a.sent.Add(1), 10)}, nil
}

// Reply writes m, as Send does.
func (a *Adapter) Reply(ctx context.Context, in bot.Inbound, m bot.Message) error {
	_, err := a.Send(ctx, bot.Target{Chat: in.Chat}, m, "")
	return err
}

// Print writes a line as it is: progress, which no chat is owed.
func (a *Adapter) Print(line string) { _ = a.write(line + "\n") }

func (a *Adapter) write(s string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, err := io.WriteString(a.out, s)
	return err
}

// lines is where a person's lines come from.
type lines interface {
	// Next is the next line; io.EOF when there are no more, errLeft when the
	// person leaves.
	Next() (string, error)
	Close() error
}

var errLeft = errors.New("the person left")

// Run reads lines until ctx ends. When a person leaves it calls Quit and waits
// for ctx.
func (a *Adapter) Run(ctx context.Context, menu []bot.CommandSpec, got func(context.Context, bot.Inbound)) error {
	in, err := a.open(menu)
	if err != nil {
		return fmt.Errorf("console: opening the terminal: %w", err)
	}
	type read struct {
		line string
		err  error
	}
	// A read from a terminal cannot be interrupted, so it has a goroutine of
	// its own, which ends with its line after Run has returned.
	reads := make(chan read)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for {
			line, err := in.Next()
			select {
			case reads <- read{line, err}:
			case <-stop:
				return
			}
			if err != nil {
				return
			}
		}
	}()
	defer in.Close()

	var handlers sync.WaitGroup
	defer handlers.Wait()
	slots := make(chan struct{}, 64)
	for {
		select {
		case <-ctx.Done():
			return nil
		case r := <-reads:
			if r.err != nil {
				switch {
				case errors.Is(r.err, errLeft):
					a.cfg.Quit()
				case !errors.Is(r.err, io.EOF):
					a.cfg.Log.Error("nothing more can be read from the terminal: start again to type", "err", r.err)
				}
				<-ctx.Done()
				return nil
			}
			text := strings.TrimSpace(bot.Neutral(r.line))
			if text == "" {
				continue
			}
			slots <- struct{}{}
			inbound := bot.Inbound{
				ID: "console-" + strconv.FormatInt(a.said.Add(1), 10), Chat: Chat, User: "console", Text: text, At: a.cfg.Now(),
				Admin: func(context.Context) (bool, error) { return true, nil },
			}
			handlers.Go(func() {
				defer func() { <-slots }()
				got(ctx, inbound)
			})
		}
	}
}

// open starts reading.
func (a *Adapter) open(menu []bot.CommandSpec) (lines, error) {
	if !a.cfg.Interactive {
		s := bufio.NewScanner(a.cfg.In)
		s.Buffer(nil, 64<<10)
		return plain{s}, nil
	}
	var names []readline.PrefixCompleterInterface
	for _, c := range menu {
		names = append(names, readline.PcItem("/"+c.Name))
	}
	cfg := &readline.Config{
		Prompt: "› ", InterruptPrompt: "^C", EOFPrompt: "^D", HistoryLimit: 500,
		AutoComplete: readline.NewPrefixCompleter(names...), Stdout: a.cfg.Out,
	}
	if in, ok := a.cfg.In.(io.ReadCloser); ok {
		cfg.Stdin = readline.NewCancelableStdin(in)
	}
	rl, err := readline.NewEx(cfg)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	a.out = rl.Stdout()
	a.mu.Unlock()
	return &edited{a, rl}, nil
}

// plain reads lines that nobody edits.
type plain struct{ s *bufio.Scanner }

func (p plain) Next() (string, error) {
	if p.s.Scan() {
		return p.s.Text(), nil
	}
	if err := p.s.Err(); err != nil {
		return "", err
	}
	return "", io.EOF
}
func (plain) Close() error { return nil }

// edited reads lines that a person edits.
type edited struct {
	a  *Adapter
	rl *readline.Instance
}

func (e *edited) Next() (string, error) {
	line, err := e.rl.Readline()
	if errors.Is(err, io.EOF) || errors.Is(err, readline.ErrInterrupt) {
		return "", errLeft
	}
	return line, err
}

func (e *edited) Close() error {
	e.a.mu.Lock()
	e.a.out = e.a.cfg.Out
	e.a.mu.Unlock()
	return e.rl.Close()
}
