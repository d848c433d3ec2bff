//go:build unix

package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot/discord/discordtest"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/config"
)

// child is set in the environment of a test binary that is to be the program.
const child = "CHOKEPOINT_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(child) == "" {
		os.Exit(m.Run())
	}
	err := Run(context.Background(), Env{
		Config: os.Getenv("CHOKEPOINT_CONFIG"), Version: "test", Lookup: os.LookupEnv, In: strings.NewReader(""), Out: io.Discard, Err: os.Stderr, Now: time.Now,
	})
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

const (
	killed     = 20 // times
	killChats  = 20 // on each platform
	killAlerts = 5  // to each chat: 200 deliveries
)

func TestKilledAtAnyMomentItLosesNothingAndDiscordShowsEachOnce(t *testing.T) {
	t.Parallel()
	kills := killed
	if testing.Short() {
		kills = 3
	}
	stores(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		log := slog.New(slog.DiscardHandler)
		w.cfg.Store.URL = config.Secret(url)
		s, err := openStore(t.Context(), w.cfg, log)
		if err != nil {
			t.Fatal(err)
		}
		topic := chokepoint.Topic("aaoi-texas")
		for i := range killChats {
			w.telegram.AddChat(int64(-2000-i), "supergroup")
			w.discord.AddChannel(discordtest.Channel{ID: discordID(i), Name: "alerts"})
			for _, id := range []chokepoint.ChatID{{Platform: chokepoint.Telegram, ID: fmt.Sprint(-2000 - i)}, {Platform: chokepoint.Discord, ID: discordID(i)}} {
				if err := s.PutChat(t.Context(), chokepoint.Chat{ID: id, Language: "en", Zone: "UTC", Topics: []chokepoint.Topic{topic}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for i := range killAlerts {
			story := chokepoint.NewStoryID("kill", fmt.Sprint(i))
			now := time.Now().UTC()
			a := chokepoint.Alert{ID: story.Alert(0), Story: story, Kind: chokepoint.AlertThesis, Topic: topic, Severity: chokepoint.Notice, Headline: title(i), Seen: now, At: now}
			if err := s.Publish(t.Context(), now, []chokepoint.Alert{a}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), "config.yaml")
		var off strings.Builder
		for name := range config.Default().Sources {
			off.WriteString("  " + name + ": { enabled: false }\n")
		}
		text := fmt.Sprintf("store: { url: %q }\nhttp: { listen: \"\", allow_private: true }\nconsole: { enabled: \"false\" }\nlog: { level: error }\ntelegram: { token: %q, api_url: %q }\ndiscord: { token: %q, api_url: %q }\nsources:\n%s",
			url, w.telegram.Token(), w.telegram.URL(), w.discord.Token(), w.discord.URL(), off.String())
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		launch := func() *exec.Cmd {
			c := exec.Command(os.Args[0])
			c.Env = append(os.Environ(), child+"=1", "CHOKEPOINT_CONFIG="+file)
			c.Stderr = t.Output()
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			return c
		}
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 1))
		for range kills {
			c := launch()
			time.Sleep(time.Duration(50+random.IntN(450)) * time.Millisecond) // the moment of death is what is tried
			_ = c.Process.Kill()
			_ = c.Wait()
		}
		last := launch()
		defer func() { _ = last.Process.Kill(); _ = last.Wait() }()
		deadline := time.Now().Add(90 * time.Second)
		for {
			missing := w.missing()
			if missing == "" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatal(missing)
			}
			time.Sleep(50 * time.Millisecond)
		}
		for i := range killChats {
			var discord []string
			for _, m := range w.discord.Shown(discordID(i)) {
				discord = append(discord, m.Title)
			}
			if len(discord) != killAlerts {
				t.Errorf("Discord channel %d shows %q, want each of %d once", i, discord, killAlerts)
			}
			order(t, fmt.Sprint("Discord channel ", i), discord)
			var telegram []string
			for _, m := range w.telegram.Messages(int64(-2000 - i)) {
				telegram = append(telegram, m.Text)
			}
			order(t, fmt.Sprint("Telegram group ", i), telegram)
		}
	})
}

func discordID(i int) string { return fmt.Sprint(118000000000001000 + i) }
func title(i int) string     { return fmt.Sprintf("alert number %d", i) }

// missing names a chat that lacks an alert, "" if none does.
func (w *world) missing() string {
	for i := range killChats {
		var discord, telegram strings.Builder
		for _, m := range w.discord.Shown(discordID(i)) {
			discord.WriteString(m.Title + m.Text)
		}
		for _, m := range w.telegram.Messages(int64(-2000 - i)) {
			telegram.WriteString(m.Text)
		}
		for n := range killAlerts {
			if !strings.Contains(discord.String(), title(n)) {
				return fmt.Sprintf("Discord channel %d lacks %q", i, title(n))
			}
			if !strings.Contains(telegram.String(), title(n)) {
				return fmt.Sprintf("Telegram group %d lacks %q", i, title(n))
			}
		}
	}
	return ""
}

// order checks that alerts came in order; a repeat may follow at once.
func order(t *testing.T, chat string, texts []string) {
	t.Helper()
	at := 0
	for _, text := range texts {
		n := -1
		for i := range killAlerts {
			if strings.Contains(text, title(i)) {
				n = i
			}
		}
		if n < at {
			t.Errorf("%s: alert %d came after alert %d", chat, n, at)
		}
		at = max(at, n)
	}
}
