package app

import (
	"bytes"
	"io"

	"github.com/chokepoint-bot/chokepoint/internal/config"
)

// striker strikes secrets out of what is written through it. Each Write is one
// log line, so none is split between two.
type striker struct {
	to      io.Writer
	secrets []string
}

func (s *striker) Write(p []byte) (int, error) {
	out := p
	for _, secret := range s.secrets {
		if bytes.Contains(out, []byte(secret)) {
			out = bytes.ReplaceAll(out, []byte(secret), []byte(config.Stars))
		}
	}
	if _, err := s.to.Write(out); err != nil {
		return 0, err
	}
	return len(p), nil
}
