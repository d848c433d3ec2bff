package app

import (
	"os"
	"path/filepath"
	"testing"
)

// A daemon's standard input is /dev/null under the name /dev/stdin: nobody sits
// there who could leave.
func TestTheNullDeviceIsNoTerminalWhateverItsName(t *testing.T) {
	t.Parallel()
	stdin := filepath.Join(t.TempDir(), "stdin")
	if err := os.Symlink(os.DevNull, stdin); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{os.DevNull, stdin} {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if isTerminal(f) {
			t.Errorf("%s is taken for a terminal", name)
		}
		f.Close()
	}
}
