package console

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// terminalTest runs a test's program on the terminal that it was started on;
// nil where there are none.
var terminalTest func()

func TestMain(m *testing.M) {
	if os.Getenv("CONSOLE_TEST_TERMINAL") != "" {
		terminalTest()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}
