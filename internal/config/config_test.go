package config

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func env(pairs ...string) Env {
	return func(name string) (string, bool) {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1], true
			}
		}
		return "", false
	}
}

// reveal compares secrets by what they are.
var reveal = cmp.Transformer("reveal", func(s Secret) string { return s.Reveal() })

func mustParse(t *testing.T, text string, e Env) Config {
	t.Helper()
	c, err := Parse("test.yaml", []byte(text), e)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheExampleShowsEveryKeyWithItsDefault(t *testing.T) {
	example, err := Load(filepath.Join("..", "..", "config.example.yaml"), env())
	if err != nil {
		t.Fatal(err)
	}
	defaults, err := Load("", env())
	if err != nil {
		t.Fatal(err)
	}
	example.Dir = defaults.Dir
	norm := cmp.Transformer("joined", func(s []string) string { return strings.Join(s, "\x00") })
	if diff := cmp.Diff(defaults, example, reveal, norm, cmp.Comparer(func(a, b []Chat) bool { return len(a) == 0 && len(b) == 0 })); diff != "" {
		t.Errorf("config.example.yaml differs from the defaults (-default +example):\n%s", diff)
	}
	data, _ := os.ReadFile(filepath.Join("..", "..", "config.example.yaml"))
	for _, key := range []string{"contact", "level", "format", "keep_quotes", "allow_private", "timeout", "token", "api_url", "chats", "publisher", "primary", "match", "ciks", "forms", "archive_url", "lists", "only_in_session", "providers", "site", "rules", "jitter", "enabled"} {
		if !strings.Contains(string(data), key+":") {
			t.Errorf("config.example.yaml does not show %s", key)
		}
	}
}

func TestAnEmptyFileIsTheDefaults(t *testing.T) {
	want, err := Load("", env())
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "  \n\t\n", "# only a comment\n", "---\n"} {
		if diff := cmp.Diff(want, mustParse(t, text, env()), reveal); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestSourcesAndWatchersAreChangedKeyByKey(t *testing.T) {
	c := mustParse(t, `
sources:
  sec: { cron: "*/5 * * * *" }
  digitimes: { enabled: false }
  mine: { kind: feed, cron: "0 * * * *", urls: [https://example.org/a.xml] }
watchers:
  price-thresholds: { rules: ["AAOI below 000001"] }
`, env())
	d := Default()
	if got := c.Sources["sec"]; got.Cron != "*/5 * * * *" || got.CIKs["AAOI"] != d.Sources["sec"].CIKs["AAOI"] || !got.Enabled {
		t.Errorf("sec = %+v", got)
	}
	if c.Sources["digitimes"].Enabled {
		t.Error("digitimes is still on")
	}
	if !c.Sources["mine"].Enabled {
		t.Error("a new source is off")
	}
	if len(c.Sources) != len(d.Sources)+1 {
		t.Errorf("%d sources", len(c.Sources))
	}
	if got := c.Watchers["price-thresholds"].Rules; len(got) != 1 || got[0] != "AAOI below 000001" {
		t.Errorf("rules = %q", got)
	}
}

func TestValuesAreKeptAsWritten(t *testing.T) {
	c := mustParse(t, `
discord:
  chats: [118000000000000000000, { id: 118000000000000000001, language: zh, ops: true }]
sources:
  sec: { ciks: { AAOI: 0001158114 } }
`, env())
	if got := c.Discord.Chats[0].ID; got != "118000000000000000000" {
		t.Errorf("chat id %q", got)
	}
	if got := c.Discord.Chats[1]; got.Language != "zh" || !got.Ops {
		t.Errorf("chat %+v", got)
	}
	if got := c.Sources["sec"].CIKs["AAOI"]; got != "0001158114" {
		t.Errorf("cik %q", got)
	}
}

func TestEveryMistakeIsNamedAtOnceWithLinePathAndRemedy(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(cases) == 0 {
		t.Fatal("no cases")
	}
	for _, file := range cases {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for _, line := range strings.Split(string(data), "\n") {
				if w, ok := strings.CutPrefix(line, "# want: "); ok {
					want = append(want, w)
				}
			}
			_, err = Parse(filepath.Base(file), data, env("SET", "value"))
			if err == nil {
				t.Fatal("accepted")
			}
			got := strings.Split(err.Error(), "\n")
			if len(got) != len(want) {
				t.Errorf("%d mistakes, want %d:\n%v", len(got), len(want), err)
			}
			for _, w := range want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("lacks %q in:\n%v", w, err)
				}
			}
		})
	}
}

func TestVariablesAreFilledInAfterParsing(t *testing.T) {
	c := mustParse(t, "contact: ${WHO}@example.org\ndiscord: { token: \"${T}\" }\n", env("WHO", "me", "T", "a:[b"))
	if c.Contact != "me@example.org" {
		t.Errorf("contact %q", c.Contact)
	}
	if _, err := Parse("x.yaml", []byte("contact: ${WHO}"), env("WHO", "a\nlanguage: xx")); err == nil || !strings.Contains(err.Error(), `contact: "a\nlanguage: xx" is not`) {
		t.Errorf("a value wrote YAML: %v", err)
	}
	if got := mustParse(t, "", env("TELEGRAM_TOKEN", "1:x")).Telegram.Token.Reveal(); got != "1:x" {
		t.Errorf("without a file the token of the environment is %q", got)
	}
}

func TestASecretComesFromAFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tok"), []byte("123:abc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Parse(filepath.Join(dir, "c.yaml"), []byte("telegram:\n  token_file: tok\n"), env())
	if err != nil || c.Telegram.Token.Reveal() != "123:abc" {
		t.Errorf("%q, %v", c.Telegram.Token.Reveal(), err)
	}
	for text, want := range map[string]string{
		"telegram:\n  token_file: none\n":            "c.yaml:2: telegram.token_file: open ",
		"telegram:\n  token_file: tok\n  token: y\n": "c.yaml:2: telegram.token_file: token and token_file are both set",
	} {
		if _, err = Parse(filepath.Join(dir, "c.yaml"), []byte(text), env()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestSecretsPrintAsStars(t *testing.T) {
	const canary = "canary-4711"
	c := mustParse(t, "discord: { token: "+canary+" }\nstore: { url: \"redis://:"+canary+"@h:1/0\" }\n", env())
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "cfg", c, "token", c.Discord.Token)
	b, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s %q %x", c, c, c, c.Discord.Token, c.Discord.Token, c.Discord.Token), string(b), log.String()} {
		if strings.Contains(text, canary) || strings.Contains(text, fmt.Sprintf("%x", canary)) {
			t.Errorf("the secret shows in %s", text)
		}
	}
	_, err = Parse("x.yaml", []byte("store: { url: \"mysql://u:"+canary+"@h\" }\ndiscord: { token: \"a "+canary+"\" }"), env())
	if err == nil || strings.Contains(err.Error(), canary) {
		t.Errorf("%v", err)
	}
}

func TestWatchTellsOnceOfAFileReplacedByRename(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "c.yaml")
	if err := os.WriteFile(path, []byte("language: en\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	told := make(chan string, 10)
	done := make(chan error, 1)
	go func() {
		done <- Watch(ctx, path, func() {
			b, _ := os.ReadFile(path)
			told <- string(b)
		})
	}()
	// The watcher may not be up yet, so the file is replaced until it is told.
	for n := 0; ; n++ {
		tmp := filepath.Join(dir, ".tmp")
		if err := os.WriteFile(tmp, []byte("language: zh\n# "+fmt.Sprint(n)+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, path); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-told:
			if !strings.HasPrefix(got, "language: zh") {
				t.Errorf("told of %q", got)
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			return
		case <-time.After(2 * time.Second):
			if ctx.Err() != nil {
				t.Fatal("never told")
			}
		}
	}
}
