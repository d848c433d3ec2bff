package redisstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

// candidate is a lane that can be granted.
type candidate struct {
	chat string
	due  int64 // or when its grant ran out
}

// candidates are up to n lanes of a platform that can be granted, the longest
// due first. Of lanes that fell due at one moment, each call prefers others, so
// that workers get into each other's way less.
func (s *Store) candidates(ctx context.Context, now time.Time, p chokepoint.Platform, n int) ([]candidate, error) {
	upTo := strconv.FormatInt(millis(now), 10)
	// The longest due are spread over the partitions by chance. Each is asked for
	// its share and four standard deviations; if one should hold more of them,
	// for all.
	share := n / partitions
	for _, limit := range []int{min(n, share+4*int(math.Sqrt(float64(share)))+8), n} {
		var moves *redis.IntCmd
		var free, ran [partitions]*redis.ZSliceCmd
		if _, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			moves = pipe.HLen(ctx, s.coreKey("moves"))
			for part := range s.lanes {
				free[part] = pipe.ZRangeByScoreWithScores(ctx, s.dueKey(part, p), &redis.ZRangeBy{Min: "-inf", Max: upTo, Count: int64(limit)})
				ran[part] = pipe.ZRangeByScoreWithScores(ctx, s.laneKey(part, "held"), &redis.ZRangeBy{Min: "-inf", Max: upTo})
			}
			return nil
		}); err != nil {
			return nil, err
		}
		if moves.Val() > 0 {
			if err := s.finishAllMoves(ctx, now); err != nil {
				return nil, err
			}
			return s.candidates(ctx, now, p, n)
		}
		var out []candidate
		unseen := int64(math.MaxInt64) // all that are due before then are in out
		for _, part := range rand.Perm(partitions) {
			list := free[part].Val()
			for _, z := range list {
				out = append(out, candidate{z.Member.(string), int64(z.Score)})
			}
			if len(list) == limit && limit < n {
				unseen = min(unseen, int64(list[limit-1].Score))
			}
			for _, z := range ran[part].Val() {
				// Grants that ran out are few, so all platforms' are together.
				if chat := z.Member.(string); platform(chat) == p {
					out = append(out, candidate{chat, int64(z.Score)})
				}
			}
		}
		slices.SortStableFunc(out, func(a, b candidate) int { return cmp.Compare(a.due, b.due) })
		out = out[:min(n, len(out))]
		if unseen == math.MaxInt64 || len(out) == n && out[n-1].due <= unseen {
			return out, nil
		}
	}
	panic("unreachable: with the last limit all is seen")
}

// Grants leases lanes that are due.
func (s *Store) Grants(ctx context.Context, now time.Time, p chokepoint.Platform, holder string, ttl time.Duration, n int) (gs []chokepoint.Grant, err error) {
	err = s.with(ctx, func() error {
		for len(gs) < n {
			found, err := s.candidates(ctx, now, p, n-len(gs))
			if err != nil || len(found) == 0 {
				return err
			}
			got, err := s.grant(ctx, now, p, ttl, found)
			if err != nil {
				return err
			}
			gs = append(gs, got...)
			if len(got) == len(found) {
				return nil
			}
			// Others were quicker with some: look for more.
		}
		return nil
	})
	if err != nil {
		return nil, wrap(err, "granting lanes of %s to %s", p, holder)
	}
	return gs, nil
}

// grant leases those candidates that nobody else was quicker with.
func (s *Store) grant(ctx context.Context, now time.Time, p chokepoint.Platform, ttl time.Duration, found []candidate) ([]chokepoint.Grant, error) {
	rank := make(map[string]int, len(found))
	var parts [partitions][]string
	for i, c := range found {
		rank[c.chat] = i
		part := partition(c.chat)
		parts[part] = append(parts[part], c.chat)
	}
	ms, expires := expiry(now, ttl)
	var calls []*call
	for part, chats := range parts {
		if len(chats) == 0 {
			continue
		}
		a := make(args, 0, 3+len(chats))
		a.add(millis(now), ms, len(chats))
		for _, c := range chats {
			a.add(c)
		}
		calls = append(calls, s.lane(grant, part, p, a))
	}
	if err := s.runAll(ctx, calls); err != nil {
		return nil, err
	}
	gs := make([]chokepoint.Grant, 0, len(found))
	for _, c := range calls {
		var err error
		if gs, err = appendGrants(gs, &c.reply, expires); err != nil {
			return nil, err
		}
	}
	slices.SortFunc(gs, func(a, b chokepoint.Grant) int {
		return cmp.Compare(rank[a.Delivery.Chat.String()], rank[b.Delivery.Chat.String()])
	})
	return s.complete(ctx, now, gs)
}

// appendGrants reads what grant returned: all of a grant but the alert and the
// chat, which are in the core.
func appendGrants(gs []chokepoint.Grant, r *reply, expires time.Time) ([]chokepoint.Grant, error) {
	for len(r.list) > 0 {
		chat, token, alert := r.text(), r.int(), chokepoint.AlertID(r.text())
		id := chatID(chat)
		g := chokepoint.Grant{
			Delivery: chokepoint.Delivery{
				ID: chokepoint.NewDeliveryID(alert, id), Alert: alert, Chat: id,
				Queued: moment(r.int()), Attempts: int(r.int()), Unknown: int(r.int()), LastErr: r.text(),
			},
			Chat: chokepoint.Chat{ID: id}, Token: token, Expires: expires,
		}
		tat, posting := r.text(), r.text()
		if r.err != nil {
			return nil, r.err
		}
		var err error
		if g.Pace, err = parsePace(tat); err != nil {
			return nil, err
		}
		if posting != "" {
			p, err := parsePosting(chat, posting)
			if err != nil {
				return nil, err
			}
			g.Posting = &p
		}
		gs = append(gs, g)
	}
	return gs, nil
}

// complete puts alerts and chats into grants, as they are now. A chat that the
// desk does not know has only its ID. An alert that is not there was lost with
// other data: its delivery is dropped, for there is nothing to send.
func (s *Store) complete(ctx context.Context, now time.Time, gs []chokepoint.Grant) ([]chokepoint.Grant, error) {
	if len(gs) == 0 {
		return nil, nil
	}
	alerts := map[chokepoint.AlertID]*chokepoint.Alert{}
	var ids []string
	chats := make([]string, len(gs))
	for i, g := range gs {
		if _, ok := alerts[g.Delivery.Alert]; !ok {
			alerts[g.Delivery.Alert] = nil
			ids = append(ids, string(g.Delivery.Alert))
		}
		chats[i] = g.Delivery.Chat.String()
	}
	var bodies, kept *redis.SliceCmd
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		kept, bodies = p.HMGet(ctx, s.coreKey("alerts"), ids...), p.HMGet(ctx, s.coreKey("chats"), chats...)
		return nil
	}); err != nil {
		return nil, err
	}
	for i, v := range kept.Val() {
		if body, ok := v.(string); ok {
			a, err := parseAlert(ids[i], body)
			if err != nil {
				return nil, err
			}
			alerts[a.ID] = &a
		}
	}
	out := gs[:0]
	var empty []chokepoint.Settlement
	for i, g := range gs {
		if body, ok := bodies.Val()[i].(string); ok {
			var err error
			if g.Chat, err = parseChat(chats[i], body); err != nil {
				return nil, err
			}
		}
		if g.Alert = alerts[g.Delivery.Alert]; g.Alert == nil {
			s.log.LogAttrs(ctx, slog.LevelError, "dropping a delivery whose alert is lost", slog.String("alert", string(g.Delivery.Alert)), slog.String("chat", chats[i]))
			empty = append(empty, chokepoint.Settlement{Grant: g, Outcome: chokepoint.Outcome{Kind: chokepoint.Dropped, Pace: g.Pace}})
			continue
		}
		out = append(out, g)
	}
	_, err := s.settle(ctx, now, empty)
	return out, err
}

// Due is when the next lane falls due.
func (s *Store) Due(ctx context.Context, p chokepoint.Platform) (due time.Time, err error) {
	err = s.with(ctx, func() error {
		var firsts [partitions]*redis.ZSliceCmd
		_, err := s.rdb.Pipelined(ctx, func(pipe redis.Pipeliner) error {
			for part := range s.lanes {
				firsts[part] = pipe.ZRangeWithScores(ctx, s.dueKey(part, p), 0, 0)
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, first := range firsts {
			for _, z := range first.Val() {
				if at := moment(int64(z.Score)); due.IsZero() || at.Before(due) {
					due = at
				}
			}
		}
		return nil
	})
	return due, wrap(err, "finding when a lane of %s falls due", p)
}

// Settle ends grants.
func (s *Store) Settle(ctx context.Context, now time.Time, list []chokepoint.Settlement) (lost []chokepoint.DeliveryID, err error) {
	err = s.with(ctx, func() (err error) {
		lost, err = s.settle(ctx, now, list)
		return err
	})
	return lost, wrap(err, "settling %d deliveries", len(list))
}

func (s *Store) settle(ctx context.Context, now time.Time, list []chokepoint.Settlement) (lost []chokepoint.DeliveryID, err error) {
	groups := map[laneGroup][]int{}
	for i, st := range list {
		g := groupOf(st.Grant.Delivery.Chat.String())
		groups[g] = append(groups[g], i)
	}
	calls := make([]*call, 0, len(groups))
	order := make([][]int, 0, len(groups))
	for g, indices := range groups {
		a := make(args, 0, 2+8*len(indices))
		a.add(millis(now), len(indices))
		for _, i := range indices {
			if err := a.addSettlement(now, list[i]); err != nil {
				return nil, err
			}
		}
		calls, order = append(calls, s.lane(settle, g.part, g.platform, a)), append(order, indices)
	}
	if err := s.runAll(ctx, calls); err != nil {
		return nil, err
	}
	const good, again = 1, 2 // as settle returns
	results := make([]int64, len(list))
	any := false
	for k, c := range calls {
		for _, i := range order[k] {
			results[i] = c.reply.int()
			any = any || results[i] == good
		}
		if c.reply.err != nil {
			return nil, c.reply.err
		}
	}
	for i, st := range list {
		if results[i] != good {
			lost = append(lost, st.Grant.Delivery.ID)
		}
		if results[i] != good && results[i] != again {
			continue
		}
		chat := st.Grant.Delivery.Chat.String()
		switch after(st.Outcome) {
		case "gone":
			err = errors.Join(err, s.leave(ctx, chat, st.Outcome.Reason))
		case "moved":
			err = errors.Join(err, s.move(ctx, now, chat, st.Outcome.Moved.String(), true))
		}
	}
	if any {
		// Other processes look again within two seconds: what a settlement
		// leaves due is this process's to go on with.
		s.wake.tell(bits(store.Owed))
	}
	return lost, err
}

// after is what the core has to hear of an outcome.
func after(o chokepoint.Outcome) string {
	switch {
	case o.Kind == chokepoint.Dead && o.Gone:
		return "gone"
	case o.Kind == chokepoint.Retry && o.Moved != chokepoint.ChatID{}:
		return "moved"
	}
	return ""
}

// addSettlement adds what settle takes of each.
func (a *args) addSettlement(now time.Time, st chokepoint.Settlement) error {
	g, o := st.Grant, st.Outcome
	a.add(g.Delivery.Chat.String(), g.Token, pace(o.Pace))
	unknown := flag(o.Unknown)
	switch o.Kind {
	case chokepoint.Sent:
		if o.Posting == nil {
			a.add("sent", "", "", 0)
			return nil
		}
		body, err := json.Marshal(o.Posting)
		if err != nil {
			return err
		}
		touched := o.Posting.Edited
		if touched.IsZero() {
			touched = now
		}
		a.add("sent", string(o.Posting.Story), body, millis(touched))
	case chokepoint.Retry:
		a.add("retry", notBefore(o.NotBefore), unknown, o.Reason, after(o))
	case chokepoint.Snooze:
		a.add("snooze", notBefore(o.NotBefore), flag(o.Hold))
	case chokepoint.Dropped:
		a.add("dropped")
	case chokepoint.Dead:
		a.add("dead", string(g.Delivery.ID), unknown, o.Reason, after(o))
	default:
		return errors.New("an outcome of no known kind: " + strconv.Itoa(int(o.Kind)))
	}
	return nil
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

// DeadLetters is what was given up.
func (s *Store) DeadLetters(ctx context.Context, n int) (ds []chokepoint.Delivery, err error) {
	if n <= 0 {
		return nil, nil
	}
	err = s.with(ctx, func() error {
		calls := make([]*call, partitions)
		for part := range calls {
			calls[part] = s.lane(newest, part, "", args{n})
		}
		if err := s.runAll(ctx, calls); err != nil {
			return err
		}
		for _, c := range calls {
			for r := &c.reply; len(r.list) > 0; {
				ds = append(ds, chokepoint.Delivery{
					ID: chokepoint.DeliveryID(r.text()), Chat: chatID(r.text()), Alert: chokepoint.AlertID(r.text()),
					Queued: moment(r.int()), Attempts: int(r.int()), Unknown: int(r.int()), LastErr: r.text(), Dead: moment(r.int()),
				})
				if r.err != nil {
					return r.err
				}
			}
		}
		return nil
	})
	slices.SortStableFunc(ds, func(a, b chokepoint.Delivery) int { return b.Dead.Compare(a.Dead) })
	return ds[:min(n, len(ds))], wrap(err, "reading dead letters")
}

// Requeue owes a dead letter again.
func (s *Store) Requeue(ctx context.Context, now time.Time, id chokepoint.DeliveryID) error {
	return wrap(s.with(ctx, func() error {
		// An ID does not tell where its letter is.
		calls := make([]*call, partitions)
		for part := range calls {
			calls[part] = s.lane(addressee, part, "", args{string(id)})
		}
		if err := s.runAll(ctx, calls); err != nil {
			return err
		}
		for part, c := range calls {
			if len(c.reply.list) == 0 {
				continue
			}
			chat := c.reply.text()
			seq, err := s.rdb.HIncrBy(ctx, s.coreKey("counters"), "alert", 1).Result()
			if err != nil {
				return err
			}
			again := s.lane(requeue, part, platform(chat), args{millis(now), seq, string(id)})
			if err := s.runAll(ctx, []*call{again}); err != nil {
				return err
			}
			if len(again.reply.list) == 0 {
				break // another was quicker
			}
			s.wake.tell(bits(store.Owed))
			return s.rdb.XAdd(ctx, &redis.XAddArgs{
				Stream: s.coreKey("changes"), MaxLen: 1000, Approx: true, Values: []any{"w", bits(store.Owed), "by", s.wake.name},
			}).Err()
		}
		return chokepoint.ErrNotFound
	}), "requeueing %s", id)
}

// addressee is whom a dead letter is to.
//
//	ARGV    delivery's ID
//	touches nothing; reads letters
//	returns {chat}, or {} if it is not there
var addressee = laneScript(`
local letter = call('HGET', letters, take())
return letter and { decode(letter)[1] } or {}
`)

// Depth counts the outbox.
func (s *Store) Depth(ctx context.Context, now time.Time) (d chokepoint.Depth, err error) {
	err = s.with(ctx, func() error {
		var spreads *redis.IntCmd
		var pending [partitions]*redis.StringCmd
		var granted, dead [partitions]*redis.IntCmd
		var oldest [partitions]*redis.ZSliceCmd
		cmds, _ := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its error
			spreads = p.ZCard(ctx, s.coreKey("spreads"))
			for part := range s.lanes {
				pending[part] = p.HGet(ctx, s.laneKey(part, "ages"), "all")
				granted[part] = p.ZCount(ctx, s.laneKey(part, "held"), "("+strconv.FormatInt(millis(now), 10), "+inf")
				dead[part] = p.ZCard(ctx, s.laneKey(part, "dead"))
				oldest[part] = p.ZRangeWithScores(ctx, s.laneKey(part, "age"), 0, 0)
			}
			return nil
		})
		for _, c := range cmds {
			if err := c.Err(); err != nil && !errors.Is(err, redis.Nil) {
				return err
			}
		}
		d.Spreads = int(spreads.Val())
		for part := range s.lanes {
			n, _ := pending[part].Int() // nothing was ever owed there, if there is none
			d.Pending += n
			d.Granted += int(granted[part].Val())
			d.Dead += int(dead[part].Val())
			for _, z := range oldest[part].Val() {
				d.Oldest = max(d.Oldest, now.Sub(moment(int64(z.Score))))
			}
		}
		return nil
	})
	return d, wrap(err, "counting the outbox")
}
