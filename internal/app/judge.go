package app

import (
	"fmt"
	"io"
	"os"

	"github.com/chokepoint-bot/chokepoint/watchers/replay"
)

// Judge reads items, one JSON object a line, and writes a verdict on each, by
// the thesis of the configuration. "-" is standard input or output.
func Judge(env Env, in, out string) error {
	return env.withFiles(in, out, func(r io.Reader, w io.Writer) error {
		p, err := env.plan()
		if err != nil {
			return err
		}
		defer p.client.Close()
		return replay.Judge(r, w, p.thesis)
	})
}

// Score judges labelled items and prints how good the verdicts are.
func Score(env Env, in string) error {
	return env.withFiles(in, "-", func(r io.Reader, w io.Writer) error {
		p, err := env.plan()
		if err != nil {
			return err
		}
		defer p.client.Close()
		return replay.Score(r, w, p.thesis)
	})
}

// withFiles opens what is read and makes what is written.
func (e Env) withFiles(in, out string, do func(io.Reader, io.Writer) error) (err error) {
	r, w := e.In, e.Out
	if in != "-" {
		f, err := os.Open(in)
		if err != nil {
			return UsageError(fmt.Sprintf("-in: %v", err))
		}
		defer f.Close()
		r = f
	}
	if out != "-" {
		f, err := os.Create(out)
		if err != nil {
			return UsageError(fmt.Sprintf("-out: %v", err))
		}
		defer func() {
			if cerr := f.Close(); err == nil {
				err = cerr
			}
		}()
		w = f
	}
	return do(r, w)
}
