package reading

import (
	"testing"

	"github.com/chokepoint-bot/chokepoint/internal/thesis"
)

func builtin(t *testing.T) *Reader {
	t.Helper()
	th, err := thesis.Builtin("cw-laser")
	if err != nil {
		t.Fatal(err)
	}
	return NewReader(th)
}

func TestTheBuiltinThesisKeepsItsSentences(t *testing.T) {
	for _, err := range Check(builtin(t).th) {
		t.Error(err)
	}
}
