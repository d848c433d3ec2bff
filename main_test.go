package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// cli runs the command line as a person would, in a folder of its own.
func cli(t *testing.T, stdin string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(args, strings.NewReader(stdin), &o, &e)
	return code, o.String(), e.String()
}

func TestCommandsSayWhatIsWrongAndWhatToDo(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := write("good.yaml", "contact: me@example.org\n")
	typo := write("typo.yaml", "contct: me@example.org\nlanguage: fr\n")
	rule := write("rule.yaml", "watchers:\n  price-thresholds: { rules: [\"AAOI wobbles 3\"] }\n")
	away := write("away.yaml", "thesis: nowhere.yaml\n")
	for name, c := range map[string]struct {
		args []string
		code int
		want []string // in either output
	}{
		"the version":                {[]string{"version"}, 0, []string{"chokepoint dev"}},
		"help":                       {[]string{"help"}, 0, []string{"chokepoint demo", "test-alert"}},
		"a command that is none":     {[]string{"rnu"}, 2, []string{`no command "rnu"`, "chokepoint demo"}},
		"a flag that is none":        {[]string{"check", "-onlin"}, 2, []string{"-onlin"}},
		"a right configuration":      {[]string{"check", "-config", good}, 0, []string{"configuration: right", "thesis cw-laser"}},
		"no configuration":           {[]string{"check"}, 0, []string{"configuration: right", "contact is empty"}},
		"a file that is not there":   {[]string{"check", "-config", "none.yaml"}, 2, []string{"none.yaml", "there is no such file"}},
		"mistakes, all at once":      {[]string{"check", "-config", typo}, 2, []string{"typo.yaml:1: contct", `there is no key "contct"`}},
		"a rule that cannot be read": {[]string{"check", "-config", rule}, 2, []string{"price-thresholds", "wobbles"}},
		"a thesis that is away":      {[]string{"check", "-config", away}, 2, []string{"nowhere.yaml"}},
		"the thesis to start from":   {[]string{"thesis"}, 0, []string{"id: cw-laser", "catalysts:"}},
		"nobody to test":             {[]string{"test-alert", "-config", write("tg.yaml", "telegram: { token: \"1:x\" }\n")}, 2, []string{"no chats are configured"}},
		"a source that is none":      {[]string{"sources", "test", "weather"}, 2, []string{`no source "weather"`, "quotes"}},
		"every source":               {[]string{"sources"}, 0, []string{"tceq", "never asked"}},
		"a bot that is not there":    {[]string{"healthcheck", "-config", write("h.yaml", "http: { listen: \"127.0.0.1:9\" }\n")}, 1, []string{"does not answer"}},
		"nothing to judge":           {[]string{"judge", "-in", "none.jsonl"}, 2, []string{"none.jsonl"}},
	} {
		t.Run(name, func(t *testing.T) {
			code, out, errOut := cli(t, "", c.args...)
			if code != c.code {
				t.Errorf("exit code %d, want %d\n%s%s", code, c.code, out, errOut)
			}
			for _, w := range c.want {
				if !strings.Contains(out+errOut, w) {
					t.Errorf("lacks %q in\n%s%s", w, out, errOut)
				}
			}
		})
	}
}

func TestJudgeReadsAStreamOfItems(t *testing.T) {
	items := `{"id":"a","title":"Oracle signs five-year supply agreement with Applied Optoelectronics","summary":"Oracle commits to buy $2 billion of optical transceivers from AAOI over five years.","source":"Wire","url":"https://wire.example/a","published":"2026-05-04","lang":"en"}
{"id":"b","title":"Three AI stocks to buy now","summary":"A columnist likes Oracle and Applied Optoelectronics.","source":"Columns","url":"https://columns.example/b","published":"2026-05-05","lang":"en"}
`
	code, out, errOut := cli(t, items, "judge")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if code != 0 || len(lines) != 2 {
		t.Fatalf("%d, %q, %s", code, out, errOut)
	}
	if !strings.Contains(lines[0], `"alert":true`) || !strings.Contains(lines[0], "ORCL") || !strings.Contains(lines[1], `"alert":false`) {
		t.Errorf("verdicts:\n%s", out)
	}
}

func TestTheDemonstrationPlaysToItsEnd(t *testing.T) {
	t.Parallel()
	for lang, want := range map[string][]string{
		"en": {"breaks ground", "Amazon", "NVIDIA", "22/22", "/status", "/risks", "Cold water", "made-up price"},
		"zh": {"动土", "亚马逊", "英伟达", "22/22", "/status", "/risks", "冷水", "虚构"},
	} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			code, out, errOut := cli(t, "", "demo", "-speed", "1000", "-lang", lang)
			if code != 0 {
				t.Fatalf("%d: %s", code, errOut)
			}
			for _, w := range want {
				if !strings.Contains(out, w) {
					t.Errorf("lacks %q", w)
				}
			}
			for _, noise := range []string{"Three AI stocks", "Sherman", "德州仪器", "AOI检测", "[render.", "[app.", "[commands."} {
				if strings.Contains(out, noise) {
					t.Errorf("shows %q", noise)
				}
			}
		})
	}
}
