package bot_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

const (
	fanChats   = 10_000
	fanWorkers = 64
)

// sink counts the messages that arrive over HTTP, and tells when the last has.
type sink struct {
	*httptest.Server
	client *http.Client
	left   atomic.Int64
	all    chan struct{}
}

func newSink(b *testing.B) *sink {
	s := &sink{all: make(chan struct{}, 1)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, `{"ok":true,"result":{"message_id":1}}`)
		if s.left.Add(-1) == 0 {
			s.all <- struct{}{}
		}
	}))
	b.Cleanup(s.Close)
	s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: fanWorkers, MaxConnsPerHost: fanWorkers}}
	return s
}

// post sends one message as adapters do.
func (s *sink) post(ctx context.Context, chat, text string) error {
	body, err := json.Marshal(map[string]string{"chat_id": chat, "text": text})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// poster is an adapter over a sink.
type poster struct {
	*platform
	sink *sink
}

func (p poster) Send(ctx context.Context, to bot.Target, m bot.Message, _ string) (bot.Posted, error) {
	if err := p.sink.post(ctx, to.Chat.ID, m.PlainText()); err != nil {
		return bot.Posted{}, &bot.SendError{Class: bot.Transient, Err: err}
	}
	return bot.Posted{Message: "1"}, nil
}

// BenchmarkFanOut sends one alert to ten thousand chats over loopback HTTP:
// "bot" from the moment it is published, through the durable outbox, and "bare"
// by as many workers in a loop that remembers nothing.
func BenchmarkFanOut(b *testing.B) {
	b.Run("bare", func(b *testing.B) {
		s := newSink(b)
		for b.Loop() {
			s.left.Store(fanChats)
			next := make(chan int)
			var workers sync.WaitGroup
			for range fanWorkers {
				workers.Go(func() {
					for i := range next {
						if err := s.post(b.Context(), fmt.Sprint("chat", i), "an alert"); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for i := range fanChats {
				next <- i
			}
			close(next)
			<-s.all
			workers.Wait()
		}
	})
	b.Run("bot", func(b *testing.B) {
		s, out := open(b), newSink(b)
		for i := range fanChats - 1 {
			id := chokepoint.ChatID{Platform: chokepoint.Telegram, ID: fmt.Sprint("chat", i)}
			if err := s.PutChat(b.Context(), chokepoint.Chat{ID: id, Language: "en", Zone: "UTC", Topics: []chokepoint.Topic{"t"}}); err != nil {
				b.Fatal(err)
			}
		}
		startWith(b, s, bot.Config{Adapters: []bot.Adapter{poster{newPlatform(), out}}, Workers: fanWorkers})
		n := 0
		for b.Loop() {
			out.left.Store(fanChats)
			n++
			publish(b, s, alert(fmt.Sprint("story", n), 0, "an alert"))
			<-out.all
			b.StopTimer()
			for d, err := s.Depth(b.Context(), time.Now()); err != nil || d.Pending > 0; d, err = s.Depth(b.Context(), time.Now()) {
				time.Sleep(time.Millisecond)
			}
			b.StartTimer()
		}
	})
}
