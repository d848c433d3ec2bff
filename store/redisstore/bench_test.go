//go:build unix

package redisstore

import (
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/redistest"
)

var begin = time.Date(2026, 3, 2, 14, 30, 0, 0, time.UTC)

func follower(i int) chokepoint.Chat {
	return chokepoint.Chat{
		ID:    chokepoint.ChatID{Platform: chokepoint.Telegram, ID: strconv.Itoa(-1_000_000 - i)},
		Title: "a chat", Language: chokepoint.English, Zone: "America/New_York", Topics: []chokepoint.Topic{"aaoi-texas"},
	}
}

func alert(id string) chokepoint.Alert {
	return chokepoint.Alert{
		ID: chokepoint.AlertID(id), Story: chokepoint.StoryID(id), Kind: chokepoint.AlertMilestone, Topic: "aaoi-texas",
		Severity: chokepoint.Notice, Score: 60, Headline: "a headline of the usual length, about a site", Seen: begin, At: begin,
	}
}

const chats, batch = 10_000, 1000

// BenchmarkOutbox carries one alert to 10,000 chats: spread, granted and
// settled, in batches of 1,000, without and with where the story stands in each
// chat. One round is 10,000 deliveries. Beside it, on the same server, is the
// least that any outbox on Redis has to do: three pipelined writes a delivery,
// in batches of the same size.
func BenchmarkOutbox(b *testing.B) {
	// A rewrite of the append-only file takes a core of its own now and then.
	server := redistest.Start(b, redistest.Config("auto-aof-rewrite-percentage", "0"))
	ctx := b.Context()

	b.Run("owed and settled", func(b *testing.B) { benchmarkOutbox(b, apart(server.URL()), false) })
	b.Run("with postings", func(b *testing.B) { benchmarkOutbox(b, apart(server.URL()), true) })
	b.Run("three raw writes", func(b *testing.B) {
		s := open(b, apart(server.URL()))
		member := func(i int) string { return strconv.Itoa(-1_000_000 - i) }
		for b.Loop() {
			for from := 0; from < chats; from += batch {
				for step := range 3 {
					if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
						for i := from; i < from+batch; i++ {
							switch step {
							case 0:
								p.ZAdd(ctx, s.prefix+":owed", redis.Z{Score: 1, Member: member(i)})
							case 1:
								p.ZAdd(ctx, s.prefix+":owed", redis.Z{Score: 2, Member: member(i)})
							case 2:
								p.ZRem(ctx, s.prefix+":owed", member(i))
							}
						}
						return nil
					}); err != nil {
						b.Fatal(err)
					}
				}
			}
		}
		b.ReportMetric(float64(chats*b.N)/b.Elapsed().Seconds(), "deliveries/s")
	})
}

func benchmarkOutbox(b *testing.B, url string, postings bool) {
	ctx := b.Context()
	s := open(b, url)
	for i := range chats {
		if err := s.PutChat(ctx, follower(i)); err != nil {
			b.Fatal(err)
		}
	}
	round := 0
	for b.Loop() {
		round++
		if err := s.Publish(ctx, begin, []chokepoint.Alert{alert(fmt.Sprintf("a%07d", round))}); err != nil {
			b.Fatal(err)
		}
		// One goroutine owes, one takes, one settles, as the bot's do.
		granted := make(chan []chokepoint.Grant, 2)
		var wg sync.WaitGroup
		wg.Go(func() {
			for more := true; more; {
				var err error
				if more, err = s.Spread(ctx, begin, batch); err != nil {
					b.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			defer close(granted)
			for left := chats; left > 0; {
				gs, err := s.Grants(ctx, begin, chokepoint.Telegram, "b", time.Minute, batch)
				if err != nil {
					b.Error(err)
					return
				}
				left -= len(gs)
				granted <- gs
			}
		})
		settled := 0
		for gs := range granted {
			list := make([]chokepoint.Settlement, len(gs))
			for i, g := range gs {
				list[i] = chokepoint.Settlement{Grant: g, Outcome: chokepoint.Outcome{Kind: chokepoint.Sent, Pace: chokepoint.Pace{TAT: begin}}}
				if postings {
					list[i].Outcome.Posting = &chokepoint.Posting{Chat: g.Chat.ID, Story: g.Alert.Story, Alert: g.Alert.ID, Message: "12345", Edited: begin}
				}
			}
			lost, err := s.Settle(ctx, begin, list)
			if err != nil {
				b.Fatal(err)
			}
			settled += len(gs) - len(lost)
		}
		wg.Wait()
		if settled != chats {
			b.Fatalf("%d deliveries were settled, want %d", settled, chats)
		}
	}
	b.ReportMetric(float64(chats*b.N)/b.Elapsed().Seconds(), "deliveries/s")
}
