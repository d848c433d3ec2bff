package bot

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
)

const (
	// answerTimeout is how long the handler may think, and how long its answer
	// may take to be shown.
	answerTimeout = 10 * time.Second
	// answerStop is how long an answer may still take when the program stops.
	answerStop = 5 * time.Second
	// A person may ask eight times at once and once in three seconds on end; a
	// chat three times as often.
	personEvery, personBurst = 3 * time.Second, 8
	chatEvery, chatBurst     = time.Second, 24
	// remembered is how many events and how many people are kept in mind.
	remembered = 4096
)

// answer hands one inbound to the handler and carries its answer back. The
// same event again, as platforms deliver now and then, is answered once.
func (b *Bot) answer(ctx context.Context, a Adapter, in Inbound) {
	p := a.Platform()
	allowed, tell := b.flood.pass(b.cfg.Now(), in)
	if !allowed {
		b.metrics.inbound(p, "refused")
		if tell {
			b.say(ctx, a, in, "bot.flood")
		}
		return
	}
	log := b.cfg.Log.With("platform", p, "chat", in.Chat.ID, "user", in.User)
	thinking, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	// A handler that heeds its deadline has words of its own; for one that does
	// not, we have some.
	said := make(chan struct{})
	late := time.AfterFunc(answerTimeout+time.Second, func() {
		defer close(said)
		b.say(ctx, a, in, "bot.apology")
	})
	var ans Answer
	err := guard(func() error { ans = b.cfg.Handler.Handle(thinking, in); return nil })
	switch {
	case !late.Stop():
		<-said
		log.Error("a command took too long", "text", cut(in.Text, 200), "err", err)
		b.metrics.inbound(p, "late")
	case err != nil:
		log.Error("a command broke", "text", cut(in.Text, 200), "err", err)
		b.metrics.inbound(p, "panic")
		b.metrics.panicked("answer")
		b.say(ctx, a, in, "bot.apology")
	default:
		b.metrics.inbound(p, "answered")
		if ans.Discuss != "" {
			if problem := b.discuss(thinking, a, in, ans); problem != "" {
				b.say(ctx, a, in, problem)
				return
			}
		}
		b.reply(ctx, a, in, ans.Message)
	}
}

// say answers in a few words of our own, in the chat's language.
func (b *Bot) say(ctx context.Context, a Adapter, in Inbound, key string) {
	lang, ok := i18n.Match(in.Locale)
	if !ok {
		lang = b.cfg.Language
	}
	if b.cfg.Chat != nil {
		call, done := context.WithTimeout(ctx, time.Second)
		if c, err := b.cfg.Chat(call, in.Chat); err == nil && c.Language != "" {
			lang = c.Language
		}
		done()
	}
	b.reply(ctx, a, in, Message{Tone: Warn, Lines: []Line{Text(b.cfg.Words.T(lang, key))}})
}

// reply carries an answer back, in as many parts as the platform needs.
func (b *Bot) reply(ctx context.Context, a Adapter, in Inbound, m Message) {
	ctx, stopped := outlive(ctx, answerStop)
	defer stopped()
	ctx, done := context.WithTimeout(ctx, answerTimeout)
	defer done()
	for _, part := range split(m, a.Limits()) {
		err := guard(func() error { return a.Reply(ctx, in, part) })
		var e *SendError
		switch {
		case !errors.As(err, &e):
		case e.Class == Rejected:
			err = guard(func() error { return a.Reply(ctx, in, plainly(part)) })
		case e.Class == RateLimited && e.Wait < answerTimeout/2:
			pause(ctx, e.Wait)
			err = guard(func() error { return a.Reply(ctx, in, part) })
		}
		if err != nil {
			b.cfg.Log.Warn("an answer could not be shown", "platform", a.Platform(), "chat", in.Chat.ID, "err", err)
			return
		}
	}
}

// discuss opens a thread under the story's message, where its follow-ups go
// from then on. If that cannot be, it returns what to say instead.
func (b *Bot) discuss(ctx context.Context, a Adapter, in Inbound, ans Answer) (problem string) {
	t, has := a.(Threader)
	if !has {
		return "bot.thread.none"
	}
	at, err := b.cfg.Outbox.Posting(ctx, in.Chat, ans.Discuss)
	if errors.Is(err, chokepoint.ErrNotFound) {
		return "bot.thread.where"
	}
	if err == nil && at.Thread == "" {
		err = guard(func() (err error) {
			at.Thread, err = t.OpenThread(ctx, Target{Chat: in.Chat, Edit: at.Message}, ans.Thread)
			return err
		})
		if err == nil {
			err = b.cfg.Outbox.PutPosting(ctx, at)
		}
	}
	if err != nil {
		b.cfg.Log.Warn("a thread could not be opened", "platform", a.Platform(), "chat", in.Chat.ID, "story", ans.Discuss, "err", err)
		return "bot.thread.failed"
	}
	return ""
}

// cut is the first n runes of s.
func cut(s string, n int) string {
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// flood keeps one person, or one chat, from taking all.
type flood struct {
	mu     sync.Mutex
	seen   *recent[struct{}]
	people *recent[allowance]
}

type allowance struct {
	tat  time.Time
	told bool
}

func newFlood() *flood {
	return &flood{seen: newRecent[struct{}](remembered), people: newRecent[allowance](remembered)}
}

// pass says whether in is to be handled, and if not, whether to say so: once
// until there is room again.
func (f *flood) pass(now time.Time, in Inbound) (ok, tell bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if in.ID != "" {
		key := string(in.Chat.Platform) + "\x00" + in.ID
		if _, again := f.seen.get(key); again {
			return false, false
		}
		f.seen.put(key, struct{}{})
	}
	person, chat := in.Chat.String()+"\x00"+in.User, in.Chat.String()
	p, _ := f.people.get(person)
	c, _ := f.people.get(chat)
	ptat, pw := spend(now, p.tat, personEvery, personBurst)
	ctat, cw := spend(now, c.tat, chatEvery, chatBurst)
	if pw > 0 || cw > 0 {
		tell = !p.told
		p.told = true
		f.people.put(person, p)
		return false, tell
	}
	f.people.put(person, allowance{tat: ptat})
	f.people.put(chat, allowance{tat: ctat})
	return true, false
}

// recent is a map that forgets the oldest half when it is full.
type recent[T any] struct {
	max      int
	new, old map[string]T
}

func newRecent[T any](max int) *recent[T] {
	return &recent[T]{max: max, new: map[string]T{}, old: map[string]T{}}
}

func (r *recent[T]) get(key string) (T, bool) {
	if v, ok := r.new[key]; ok {
		return v, true
	}
	v, ok := r.old[key]
	return v, ok
}

func (r *recent[T]) put(key string, v T) {
	if len(r.new) >= r.max/2 {
		r.old, r.new = r.new, make(map[string]T, r.max/2)
	}
	r.new[key] = v
}
