package redisstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

const (
	stampLen = 15 // digits before an observation in observations
	orderLen = 20 // digits before a quote in quotes
)

// record takes a source's step. An observation's place is the next number of
// the journal, counted over all kinds; one whose ID is there is passed over.
//
//	ARGV    by, now, lease (3), source, cursor, health's JSON,
//	        how many observations, and of each: ID, kind, JSON, and
//	          of a quote its symbol and 20 digits of its time,
//	          of a bar its sized symbol and day, of others "" and "";
//	        alerts (see publish)
//	touches leases, cursors, health, items, observations, journal:*, counters,
//	        quotes, bars, and what publish does
//	returns {observations that are new, what happened}, or {} if the lease is
//	        lost, and then nothing is changed
var record = coreScript(journals + `
local by, now = take(), number()
if not holds(now) then return {} end
local source = take()
call('HSET', cursors, source, take())
call('HSET', health, source, take())
local stamp = string.format('%015d', now)
local fresh, place = 0, tonumber(call('HGET', counters, 'place') or 0)
for _ = 1, number() do
  local id, kind, body, key, order = take(), take(), take(), take(), take()
  if call('HSETNX', observations, id, stamp .. body) == 1 then
    fresh = fresh + 1
    call('ZADD', journal[kind], place + fresh, id)
    if kind == 'quote' then
      local last = call('HGET', quotes, key)
      if not last or last:sub(1, 20) <= order then call('HSET', quotes, key, order .. body) end
    elseif kind == 'bar' then
      call('HSET', bars, key .. order, body)
      call('ZADD', bars_index, 0, key .. order)
    end
  end
end
call('HINCRBY', counters, 'place', fresh)
call('HINCRBY', items, source, fresh)
local happened = fresh > 0 and Journaled or 0
if publish() > 0 then happened = happened + Committed end
return { fresh, tell(by, happened) }
`)

// read finds entries of some kinds after a place.
//
//	ARGV    place, how many at most (1 or more), how many kinds, and those
//	touches nothing; reads journal:*, observations, counters
//	returns {the place to read on from, and of each entry its place, and digits
//	        and JSON as in observations}. The place to read on from is the
//	        last entry's if there can be more, else the journal's end
var read = coreScript(journals + `
local after, n = take(), number()
local found = {}
for _ = 1, number() do
  local part = call('ZRANGEBYSCORE', journal[take()], '(' .. after, '+inf', 'WITHSCORES', 'LIMIT', 0, n)
  for i = 1, #part, 2 do found[#found + 1] = { tonumber(part[i + 1]), part[i + 1], part[i] } end
end
table.sort(found, function(a, b) return a[1] < b[1] end)
local last = call('HGET', counters, 'place') or '0'
if #found >= n then last = found[n][2] end
if tonumber(last) < tonumber(after) then last = after end
local ids = {}
for i = 1, math.min(n, #found) do ids[i] = found[i][3] end
local out = { last }
for i, body in ipairs(some(observations, ids)) do
  out[#out + 1] = found[i][2]
  out[#out + 1] = body
end
return out
`)

// Cursor is what the last step of the source left.
func (s *Store) Cursor(ctx context.Context, source string) (string, error) {
	cursor, err := s.field(ctx, "cursors", source)
	return cursor, wrap(err, "reading the cursor of %s", source)
}

// field is a field of one of the core's hashes, "" if it is not there.
func (s *Store) field(ctx context.Context, key, field string) (v string, err error) {
	err = s.with(ctx, func() error {
		v, err = s.rdb.HGet(ctx, s.coreKey(key), field).Result()
		if errors.Is(err, redis.Nil) {
			return nil
		}
		return err
	})
	return v, err
}

// Record takes a step of a source.
func (s *Store) Record(ctx context.Context, now time.Time, st store.SourceStep) (fresh int, err error) {
	err = s.with(ctx, func() error {
		a, err := recordArgs(now, s.wake.name, st)
		if err != nil {
			return err
		}
		r, err := s.run(ctx, record, a)
		if err != nil {
			return err
		}
		if len(r.list) == 0 {
			return chokepoint.ErrLeaseLost
		}
		fresh = int(r.int())
		s.wake.tell(r.int())
		return r.err
	})
	return fresh, wrap(err, "recording a step of %s", st.Source)
}

func recordArgs(now time.Time, by string, st store.SourceStep) (args, error) {
	st.Health.Items = 0 // counted apart
	health, err := json.Marshal(st.Health)
	if err != nil {
		return nil, err
	}
	a := make(args, 0, 16+5*len(st.Observations))
	a.add(by, millis(now))
	a.addLease(st.Lease)
	a.add(st.Source, st.Cursor, health, len(st.Observations))
	for _, o := range st.Observations {
		body, err := json.Marshal(o)
		if err == nil {
			err = checkKind(o.Kind)
		}
		if err != nil {
			return nil, fmt.Errorf("observation %s: %w", o.ID, err)
		}
		a.add(string(o.ID), string(o.Kind), body)
		switch {
		case o.Kind == chokepoint.KindQuote && o.Quote != nil:
			a.add(string(o.Quote.Symbol), nanos(o.Quote.At))
		case o.Kind == chokepoint.KindBar && o.Bar != nil:
			a.add(sized(string(o.Bar.Symbol)), o.Bar.Day)
		case o.Kind == chokepoint.KindQuote || o.Kind == chokepoint.KindBar:
			return nil, fmt.Errorf("observation %s is a %s without its body", o.ID, o.Kind)
		default:
			a.add("", "")
		}
	}
	return a, a.addAlerts(st.Alerts)
}

// number is a position as scripts know it: a place, 0 for the beginning.
func number(p chokepoint.Position) (int64, error) {
	if p == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(string(p), 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%q is no position of this store", p)
	}
	return n, nil
}

// position is what number made of one, in digits.
func position(n string) chokepoint.Position {
	if n == "0" {
		return ""
	}
	return chokepoint.Position(n)
}

// Read returns entries after a position.
func (s *Store) Read(ctx context.Context, after chokepoint.Position, of []chokepoint.Kind, n int) (es []chokepoint.Entry, next chokepoint.Position, err error) {
	if n <= 0 {
		return nil, after, nil
	}
	if len(of) == 0 {
		of = kinds
	}
	err = s.with(ctx, func() error {
		place, err := number(after)
		if err != nil {
			return err
		}
		var of = slices.Compact(slices.Sorted(slices.Values(of)))
		a := args{strconv.FormatInt(place, 10), n, len(of)}
		for _, k := range of {
			if err := checkKind(k); err != nil {
				return err
			}
			a.add(string(k))
		}
		r, err := s.run(ctx, read, a)
		if err != nil {
			return err
		}
		next = position(r.text())
		for len(r.list) > 0 && r.err == nil {
			p, body := position(r.text()), r.text()
			if r.err == nil && len(body) < stampLen {
				r.err = damaged("an observation", errors.New("it is too short"))
			}
			if r.err != nil {
				break
			}
			o, err := decode[chokepoint.Observation](body[stampLen:], "an observation")
			if err != nil {
				return err
			}
			es = append(es, chokepoint.Entry{Position: p, Observation: o})
		}
		return r.err
	})
	if err != nil {
		return nil, "", wrap(err, "reading the journal after %q", after)
	}
	return es, next, nil
}

// Health is the last of each source.
func (s *Store) Health(ctx context.Context) (hs []chokepoint.Health, err error) {
	err = s.with(ctx, func() error {
		var bodies, items *redis.MapStringStringCmd
		if _, err := s.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
			bodies, items = p.HGetAll(ctx, s.coreKey("health")), p.HGetAll(ctx, s.coreKey("items"))
			return nil
		}); err != nil {
			return err
		}
		for source, body := range bodies.Val() {
			h, err := decode[chokepoint.Health](body, "the health of "+source)
			if err != nil {
				return err
			}
			if h.Items, err = strconv.ParseInt(items.Val()[source], 10, 64); err != nil {
				return damaged("the count of "+source, err)
			}
			hs = append(hs, h)
		}
		return nil
	})
	slices.SortFunc(hs, func(a, b chokepoint.Health) int { return cmp.Compare(a.Source, b.Source) })
	return hs, wrap(err, "reading the health of sources")
}
