package app

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/upstreamtest"
)

// file writes a configuration that points at the world, and gives an
// environment that uses it.
func (w *world) file(text string) (Env, *bytes.Buffer) {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "config.yaml")
	head := fmt.Sprintf("contact: me@example.org\nhttp: { listen: \"\", allow_private: true }\nstore: { url: \"sqlite:%s\" }\n", filepath.ToSlash(filepath.Join(w.t.TempDir(), "s.db")))
	if err := os.WriteFile(path, []byte(head+text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	var out bytes.Buffer
	return Env{Config: path, Version: "test", Lookup: func(string) (string, bool) { return "", false }, In: strings.NewReader(""), Out: &out, Err: &out, Now: time.Now}, &out
}

func TestATestAlertReachesEveryChatAndSaysWhatThePlatformsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite:unused")
	w.telegram.AddChat(-1009, "supergroup")
	w.telegram.Kick(-1009)
	env, out := w.file(fmt.Sprintf(`telegram: { token: %q, api_url: %q, chats: ["%d", "-1009"] }
discord: { token: %q, api_url: %q, chats: [{ id: %q, language: zh }] }
`, w.telegram.Token(), w.telegram.URL(), group, w.discord.Token(), w.discord.URL(), channel))
	err := TestAlert(t.Context(), env)
	if err == nil || !strings.Contains(err.Error(), "1 of 3 chats were not reached") {
		t.Errorf("%v", err)
	}
	for _, want := range []string{fmt.Sprintf("telegram:%d", group), "shown", "telegram:-1009", "FAILED  chat-gone", "discord:" + channel} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q in\n%s", want, out)
		}
	}
	if strings.Contains(out.String(), w.telegram.Token()) || strings.Contains(out.String(), w.discord.Token()) {
		t.Errorf("a token shows:\n%s", out)
	}
	if m := w.telegram.Messages(group); len(m) != 1 || !strings.Contains(m[0].Text, "A drill") {
		t.Errorf("Telegram shows %+v", m)
	}
	if m := w.discord.Shown(channel); len(m) != 1 || !strings.Contains(m[0].Text, "演练") {
		t.Errorf("Discord shows %+v", m)
	}
}

func TestCheckOnlineNamesWhatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite:unused")
	var off strings.Builder
	for _, name := range []string{"sec", "ir-aaoi", "ir-macom", "ir-amd", "trendforce", "digitimes", "thelec", "yahoo-news", "governor-tx", "texreg", "quotes"} {
		fmt.Fprintf(&off, "  %s: { enabled: false }\n", name)
	}
	sources := fmt.Sprintf("sources:\n%s  wire: { kind: feed, cron: \"0 * * * *\", urls: [%q] }\n  tceq: { lists: { nsr: %q, titlev: %q, notice: %q } }\n", off.String(), w.up.Feed("wire").URL(), w.up.Permits("nsr").URL(), w.up.Permits("nsr").URL(), w.up.Permits("nsr").URL())
	w.up.Fail("www.tceq.texas.gov", upstreamtest.Challenged)
	env, out := w.file(sources + fmt.Sprintf("telegram: { token: \"1:wrong\", api_url: %q }\n", w.telegram.URL()))
	err := Check(t.Context(), env, true)
	if err == nil || !strings.Contains(err.Error(), "telegram") || !strings.Contains(err.Error(), "tceq") || strings.Contains(err.Error(), "wire") {
		t.Errorf("%v", err)
	}
	for _, want := range []string{"configuration: right", "wire                   ok", "tceq                   FAILED", "telegram               FAILED", "store                  ok"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("lacks %q in\n%s", want, out)
		}
	}
	out.Reset()
	if err := TestSource(t.Context(), env, "wire"); err != nil || !strings.Contains(out.String(), "AAOI breaks ground in Sugar Land") {
		t.Errorf("%v\n%s", err, out)
	}
	if err := TestSource(t.Context(), env, "tceq"); err == nil || !strings.Contains(err.Error(), "not-the-format") {
		t.Errorf("%v", err)
	}
}

func TestAChangedFileIsTakenOverWhileItRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "sqlite:unused")
	text := func(extra string) string {
		return fmt.Sprintf("telegram: { token: %q, api_url: %q }\n%s", w.telegram.Token(), w.telegram.URL(), extra)
	}
	env, _ := w.file(text("language: en\n"))
	cfg, err := env.load()
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(t.Context(), env, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	head, err := os.ReadFile(env.Config)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	change := func(to string) {
		n++ // the file may not be watched yet: each try is another change
		if err := os.WriteFile(env.Config, []byte(strings.Replace(string(head), "language: en\n", to, 1)+fmt.Sprintf("# %d\n", n)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w.until("the new language is in force", func() bool {
		if a.plan.Load().cfg.Language == "zh" {
			return true
		}
		change("language: zh\ntimezone: Asia/Shanghai\n")
		time.Sleep(time.Second) // a file must rest before it counts
		return false
	})
	good := a.plan.Load()
	change("language: fr\n")
	time.Sleep(time.Second)
	if a.plan.Load() != good {
		t.Error("a wrong file was taken over")
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("the program ended with %v", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
