// Command chokepoint is a watch-list alert bot for groups that follow an
// investment thesis together. See README.md.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	_ "time/tzdata" // zones in an empty container

	"github.com/chokepoint-bot/chokepoint/internal/app"
)

// version is set when a release is built.
var version = "dev"

const usage = `chokepoint watches an investment thesis and alerts a group: news, agreements, permits, prices.

  chokepoint [run]          the bot; in this terminal when no token is set
  chokepoint demo           a minute of recorded events, offline, through the whole program
  chokepoint check          is the configuration right? -online asks tokens and sources too
  chokepoint test-alert     one marked test alert to every configured chat, and what each platform answered
  chokepoint sources [test NAME]
                            each source and how it is; or ask one now and show what it would record
  chokepoint judge          verdicts on a file of news: -in items.jsonl -out verdicts.jsonl
  chokepoint score          how good the verdicts are: -in labelled.jsonl
  chokepoint thesis         prints the built-in thesis, to start your own from
  chokepoint backup FILE    a copy of the embedded store, while it runs or not
  chokepoint healthcheck    does the running bot answer? for containers and supervisors
  chokepoint version

Every command takes -config FILE (or the environment's CHOKEPOINT_CONFIG).
Exit codes: 0 well, 1 it failed, 2 the configuration or the command line is wrong.
`

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// command is one subcommand: it declares its flags, and does its work.
type command func(ctx context.Context, env app.Env, args []string) error

var commands = map[string]func(*flag.FlagSet) command{
	"run": func(*flag.FlagSet) command {
		return func(ctx context.Context, env app.Env, _ []string) error { return app.Run(ctx, env) }
	},
	"demo": func(f *flag.FlagSet) command {
		speed := f.Float64("speed", 1, "how many times faster than its minute")
		lang := f.String("lang", "en", "language of the chat: en or zh")
		return func(ctx context.Context, env app.Env, _ []string) error {
			return app.Demo(ctx, env, app.DemoOptions{Speed: *speed, Language: *lang})
		}
	},
	"check": func(f *flag.FlagSet) command {
		online := f.Bool("online", false, "ask tokens, store and sources too")
		return func(ctx context.Context, env app.Env, _ []string) error { return app.Check(ctx, env, *online) }
	},
	"test-alert": func(*flag.FlagSet) command {
		return func(ctx context.Context, env app.Env, _ []string) error { return app.TestAlert(ctx, env) }
	},
	"sources": func(*flag.FlagSet) command {
		return func(ctx context.Context, env app.Env, args []string) error {
			switch {
			case len(args) == 0:
				return app.Sources(ctx, env)
			case len(args) == 2 && args[0] == "test":
				return app.TestSource(ctx, env, args[1])
			}
			return app.UsageError("write: chokepoint sources, or: chokepoint sources test NAME")
		}
	},
	"judge": func(f *flag.FlagSet) command {
		in, out := f.String("in", "-", "items, one JSON object a line; - for standard input"), f.String("out", "-", "verdicts; - for standard output")
		return func(_ context.Context, env app.Env, _ []string) error { return app.Judge(env, *in, *out) }
	},
	"score": func(f *flag.FlagSet) command {
		in := f.String("in", "-", "labelled items, one JSON object a line; - for standard input")
		return func(_ context.Context, env app.Env, _ []string) error { return app.Score(env, *in) }
	},
	"thesis": func(*flag.FlagSet) command {
		return func(_ context.Context, env app.Env, _ []string) error { return app.Thesis(env) }
	},
	"backup": func(*flag.FlagSet) command {
		return func(ctx context.Context, env app.Env, args []string) error {
			if len(args) != 1 {
				return app.UsageError("write: chokepoint backup FILE")
			}
			return app.Backup(ctx, env, args[0])
		}
	},
	"healthcheck": func(*flag.FlagSet) command {
		return func(ctx context.Context, env app.Env, _ []string) error { return app.Healthcheck(ctx, env) }
	},
	"version": func(*flag.FlagSet) command {
		return func(_ context.Context, env app.Env, _ []string) error {
			_, err := fmt.Fprintln(env.Out, "chokepoint", env.Version)
			return err
		}
	},
}

func run(args []string, in io.Reader, out, errOut io.Writer) int {
	name := "run"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		name, args = args[0], args[1:]
	} else if len(args) > 0 && (args[0] == "-h" || args[0] == "-help" || args[0] == "--help") {
		name = "help"
	}
	if name == "help" {
		fmt.Fprint(out, usage)
		return 0
	}
	declare, ok := commands[name]
	if !ok {
		fmt.Fprintf(errOut, "chokepoint: there is no command %q\n\n%s", name, usage)
		return 2
	}
	flags := flag.NewFlagSet("chokepoint "+name, flag.ContinueOnError)
	flags.SetOutput(errOut)
	config := flags.String("config", os.Getenv("CHOKEPOINT_CONFIG"), "configuration file; none for the defaults")
	do := declare(flags)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		<-ctx.Done()
		// A second signal ends the process at once.
		stop()
	}()
	env := app.Env{Config: *config, Version: version, Lookup: os.LookupEnv, In: in, Out: out, Err: errOut, Now: time.Now}
	err := do(ctx, env, flags.Args())
	var usageErr app.UsageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usageErr), app.IsMistake(err):
		fmt.Fprintln(errOut, err)
		return 2
	default:
		fmt.Fprintln(errOut, "chokepoint:", err)
		return 1
	}
}
