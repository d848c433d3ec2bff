//go:build unix

package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
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
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // ends with the test's process
		cancel()
	}()
	err := Run(ctx, Env{
		Config: os.Getenv("CHOKEPOINT_CONFIG"), Version: "test", Lookup: os.LookupEnv, In: strings.NewReader(""), Out: io.Discard, Err: os.Stderr, Now: time.Now,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const (
	killPairs  = 20 // of a Discord channel and a Telegram group
	killAlerts = 5  // to each chat: 200 deliveries
	killTopic  = chokepoint.Topic("aaoi-texas")
)

// TestKilledAtAnyMomentItLosesNothing kills the program again and again in the
// middle of its work. Every life begins with alerts for chats that have had
// none, so that each kill has something to interrupt, also while what earlier
// lives had in hand is not free yet.
func TestKilledAtAnyMomentItLosesNothing(t *testing.T) {
	t.Parallel()
	kills := 20
	if testing.Short() {
		kills = 3
	}
	stores(t, func(t *testing.T, url string) {
		w := newWorld(t, url)
		w.discord.Limit(true)
		w.telegram.Limit(time.Now)
		for i := range killPairs {
			w.discord.AddChannel(discordtest.Channel{ID: killChat(chokepoint.Discord, i).ID, Name: "alerts"})
			w.telegram.AddChat(int64(-2000-i), "supergroup")
		}
		file := w.killConfig(t)
		seed := uint64(time.Now().UnixNano())
		t.Logf("seed %d", seed)
		random := rand.New(rand.NewPCG(seed, 0))

		for life := range kills {
			w.owe(t, life, kills)
			before := w.posts()
			p := launch(t, file)
			// Either at some moment after the start, or just after some message
			// came: its answer may be on the way, its outcome not yet written.
			if life%2 == 0 {
				time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
			} else {
				for n, deadline := 1+random.IntN(8), time.Now().Add(30*time.Second); w.posts() < before+n; time.Sleep(100 * time.Microsecond) {
					if time.Now().After(deadline) {
						t.Fatalf("life %d: %d messages came, want %d", life, w.posts()-before, n)
					}
				}
			}
			p.kill()
			if w.missing() == "" {
				t.Fatal("all had arrived before the last kill: it interrupted nothing")
			}
		}

		began := time.Now()
		launch(t, file)
		for missing := w.missing(); missing != ""; missing = w.missing() {
			if time.Since(began) > 2*time.Minute {
				t.Fatal(missing)
			}
			time.Sleep(20 * time.Millisecond)
		}
		dropped, repeats := -killPairs*killAlerts, 0
		for _, q := range w.discord.Requests() {
			if discordtest.Writing(q) && q.Status == http.StatusOK {
				dropped++
			}
		}
		for i := range killPairs {
			if got := numbers(w.discordCards(i)); !slices.Equal(got, []int{0, 1, 2, 3, 4}) {
				t.Errorf("Discord channel %d shows alerts %v, want each of %d once and in order", i, got, killAlerts)
			}
			repeats += w.checkGroup(t, i, kills)
		}
		if b := w.discord.Breaches(); len(b) > 0 {
			t.Errorf("Discord was wronged: %q", b)
		}
		t.Logf("%d kills, %d deliveries; everything had arrived %s after the last; Discord dropped %d repeats, Telegram shows %d",
			kills, 2*killPairs*killAlerts, time.Since(began).Round(time.Millisecond), dropped, repeats)
	})
}

func killChat(p chokepoint.Platform, pair int) chokepoint.ChatID {
	if p == chokepoint.Discord {
		return chokepoint.ChatID{Platform: p, ID: strconv.Itoa(118000000000001000 + pair)}
	}
	return chokepoint.ChatID{Platform: p, ID: strconv.Itoa(-2000 - pair)}
}

func killTitle(n int) string { return fmt.Sprintf("alert number %d", n) }

// killConfig writes a configuration of the world's platforms and store, and
// nothing to watch.
func (w *world) killConfig(t *testing.T) string {
	t.Helper()
	var off strings.Builder
	for name := range config.Default().Sources {
		off.WriteString("  " + name + ": { enabled: false }\n")
	}
	text := fmt.Sprintf("store: { url: %q }\nhttp: { listen: \"\" }\nconsole: { enabled: \"false\" }\nlog: { level: error }\ntelegram: { token: %q, api_url: %q }\ndiscord: { token: %q, api_url: %q }\nsources:\n%s",
		w.cfg.Store.URL.Reveal(), w.telegram.Token(), w.telegram.URL(), w.discord.Token(), w.discord.URL(), off.String())
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// owe publishes, while no process lives, the alerts of those pairs of chats
// that fall to a life.
func (w *world) owe(t *testing.T, life, lives int) {
	t.Helper()
	s, err := openStore(t.Context(), w.cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var chats []chokepoint.ChatID
	for i := life; i < killPairs; i += lives {
		chats = append(chats, killChat(chokepoint.Discord, i), killChat(chokepoint.Telegram, i))
	}
	for _, id := range chats {
		if err := s.PutChat(t.Context(), chokepoint.Chat{ID: id, Language: "en", Zone: "UTC", Topics: []chokepoint.Topic{killTopic}}); err != nil {
			t.Fatal(err)
		}
	}
	for n := range killAlerts {
		now := time.Now().UTC()
		story := chokepoint.NewStoryID("kill", strconv.Itoa(life), strconv.Itoa(n))
		a := chokepoint.Alert{ID: story.Alert(0), Story: story, Kind: chokepoint.AlertThesis, Topic: killTopic, Severity: chokepoint.Notice, Headline: killTitle(n), Seen: now, At: now, Only: chats}
		if err := s.Publish(t.Context(), now, []chokepoint.Alert{a}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// process is the program in a process of its own.
type process struct{ cmd *exec.Cmd }

func launch(t *testing.T, file string) process {
	t.Helper()
	p := process{exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), child+"=1", "CHOKEPOINT_CONFIG="+file)
	p.cmd.Stderr = t.Output()
	if _, err := p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// kill is kill -9; a second one does nothing.
func (p process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// posts is how many messages came at both platforms, refused ones and repeats
// included.
func (w *world) posts() int {
	n := w.telegram.Calls("sendMessage")
	for _, q := range w.discord.Requests() {
		if discordtest.Writing(q) {
			n++
		}
	}
	return n
}

func (w *world) discordCards(pair int) (cards []string) {
	for _, m := range w.discord.Shown(killChat(chokepoint.Discord, pair).ID) {
		cards = append(cards, m.Title+"\n"+m.Text)
	}
	return cards
}

func (w *world) telegramCards(pair int) (cards []string) {
	for _, m := range w.telegram.Messages(int64(-2000 - pair)) {
		cards = append(cards, m.Text)
	}
	return cards
}

// numbers says which alerts cards show, -1 for none.
func numbers(cards []string) (out []int) {
	for _, card := range cards {
		shows := -1
		for n := range killAlerts {
			if strings.Contains(card, killTitle(n)) {
				shows = n
			}
		}
		out = append(out, shows)
	}
	return out
}

// missing names a chat that lacks an alert, "" if none does.
func (w *world) missing() string {
	for i := range killPairs {
		for what, cards := range map[string][]string{"Discord channel": w.discordCards(i), "Telegram group": w.telegramCards(i)} {
			all := strings.Join(cards, "\n")
			for n := range killAlerts {
				if !strings.Contains(all, killTitle(n)) {
					return fmt.Sprintf("%s %d lacks %q", what, i, killTitle(n))
				}
			}
		}
	}
	return ""
}

// checkGroup checks what a Telegram group shows, where nobody drops repeats:
// alerts in order, each again at once at most as often as the program was
// killed, and the same but for its last line, which says when it was sent. It
// counts the repeats.
func (w *world) checkGroup(t *testing.T, pair, kills int) (repeats int) {
	t.Helper()
	cards := w.telegramCards(pair)
	shows := numbers(cards)
	body := func(card string) string { return card[:max(0, strings.LastIndex(card, "\n"))] }
	last, times := -1, 0
	for i, n := range shows {
		switch {
		case n == last+1:
			last, times = n, 1
		case n == last && n >= 0 && times <= kills && body(cards[i]) == body(cards[i-1]):
			times++
			repeats++
		default:
			t.Errorf("Telegram group %d shows alerts %v; wrong is number %d of %q", pair, shows, i, cards)
			return repeats
		}
	}
	return repeats
}
