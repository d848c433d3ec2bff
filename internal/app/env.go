// Package app builds the program from its configuration and is the only one
// to see a whole store. Each exported function is one command of the command
// line.
package app

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"time"

	"github.com/chzyer/readline"
	"github.com/lmittmann/tint"

	"github.com/chokepoint-bot/chokepoint/internal/config"
)

// Homepage is where people read about the program; it stands in User-Agents.
const Homepage = "https://github.com/chokepoint-bot/chokepoint"

// Env is what the program is given by whoever starts it.
type Env struct {
	Config  string // path of the configuration, "" for none
	Version string
	Lookup  config.Env
	In      io.Reader
	Out     io.Writer
	Err     io.Writer
	Now     func() time.Time
}

// UsageError is a command line that cannot be meant.
type UsageError string

func (e UsageError) Error() string { return "chokepoint: " + string(e) }

// IsMistake says whether err is a person's mistake in the configuration, the
// thesis or a rule: exit code 2.
func IsMistake(err error) bool {
	var ms config.Mistakes
	var m mistake
	return errors.As(err, &ms) || errors.As(err, &m)
}

// load reads the configuration, and what the environment says beside it.
// CHOKEPOINT_STORE and CHOKEPOINT_LISTEN win over the file, so that one file
// serves a laptop and a container.
func (e Env) load() (config.Config, error) {
	cfg, err := config.Load(e.Config, e.Lookup)
	if err != nil {
		return cfg, err
	}
	if v, ok := e.Lookup("CHOKEPOINT_STORE"); ok && v != "" {
		cfg.Store.URL = config.Secret(v)
	}
	if v, ok := e.Lookup("CHOKEPOINT_LISTEN"); ok {
		cfg.HTTP.Listen = v
	}
	return cfg, nil
}

// logger writes where people look: coloured on a terminal, JSON elsewhere.
// Secrets that the configuration holds are struck out of every line, as the
// last net.
func (e Env) logger(c config.Config) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Log.Level)) // checked by config
	w := &striker{to: e.Err, secrets: c.Secrets()}
	format := c.Log.Format
	if format == "auto" {
		format = "json"
		if isTerminal(e.Err) {
			format = "tint"
			// What a person at the console must know, the chat says.
			if isTerminal(e.In) && c.Discord.Token == "" && c.Telegram.Token == "" && level < slog.LevelError && c.Log.Level == config.Default().Log.Level {
				level = slog.LevelError
			}
		}
	}
	switch format {
	case "tint":
		return slog.New(tint.NewTextHandler(w, &tint.Options{Level: level, TimeFormat: time.TimeOnly}))
	case "text":
		return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
	default:
		return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level}))
	}
}

// noColor follows https://no-color.org.
func (e Env) noColor() bool {
	v, ok := e.Lookup("NO_COLOR")
	return ok && v != ""
}

// isTerminal says whether w is a terminal.
func isTerminal(w any) bool {
	f, ok := w.(*os.File)
	return ok && readline.IsTerminal(int(f.Fd()))
}
