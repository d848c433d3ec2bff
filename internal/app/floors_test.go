package app

import (
	"os/exec"
	"strings"
	"testing"
)

const module = "github.com/chokepoint-bot/chokepoint"

// floor is how high a package stands; 0 is the vocabulary. See docs/design.md.
func floor(pkg string) int {
	switch first, _, _ := strings.Cut(pkg, "/"); {
	case pkg == "", first == "bench":
		return 5
	case pkg == "internal/app":
		return 4
	case pkg == "commands", pkg == "internal/web":
		return 3
	case first == "bot", first == "watchers", first == "store":
		return 2
	case pkg == "internal/chokepoint":
		return 0
	default:
		return 1
	}
}

// stands says whether pkg may stand on another: one of a lower floor, its own
// room's parent, or what judges read with.
func stands(pkg, on string) bool {
	if floor(on) < floor(pkg) || strings.HasPrefix(pkg, on+"/") {
		return true
	}
	if !strings.HasPrefix(pkg, "watchers/") {
		return false
	}
	switch on {
	case "watchers/lexicon":
		return true
	case "watchers/story", "watchers/reading":
		return pkg != "watchers/lexicon"
	}
	return false
}

func TestAPackageImportsOnlyFromLowerFloors(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}}: {{join .Imports " "}}`, module+"/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for line := range strings.Lines(string(out)) {
		path, imports, _ := strings.Cut(strings.TrimSpace(line), ":")
		pkg := strings.TrimPrefix(strings.TrimPrefix(path, module), "/")
		if isTestHelper(pkg) {
			continue
		}
		for imp := range strings.FieldsSeq(imports) {
			on, ours := strings.CutPrefix(imp, module+"/")
			if !ours {
				if floor(pkg) == 0 && strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") {
					t.Errorf("the vocabulary imports %s: it stands on the standard library alone", imp)
				}
				continue
			}
			checked++
			if !stands(pkg, on) {
				t.Errorf("%s (floor %d) imports %s (floor %d): a package imports only from lower floors or its own room's parent", pkg, floor(pkg), on, floor(on))
			}
			if on == "store" && (strings.HasPrefix(pkg, "bot") || strings.HasPrefix(pkg, "watchers") || pkg == "commands") {
				t.Errorf("%s imports store: it declares the few methods it needs", pkg)
			}
		}
	}
	if checked < 20 {
		t.Errorf("only %d imports were checked", checked)
	}
}

// isTestHelper says whether pkg is only for tests, which may look anywhere.
func isTestHelper(pkg string) bool { return strings.HasSuffix(pkg, "test") }
