package redisstore

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

// trimLanes drops what is old in a partition.
//
//	ARGV    when what is older goes, how many dead letters at most, how many
//	        postings at most
//	touches letters, dead, owed, postings, postings:*, unpacked
//	returns {dead letters that went, postings that went}
var trimLanes = laneScript(`
local cutoff, counts = '(' .. take(), {}
local ids = call('ZRANGEBYSCORE', dead, '-inf', cutoff, 'LIMIT', 0, number())
for i, letter in ipairs(some(letters, ids)) do
  count(counts, decode(letter)[2], -1)
end
many('ZREM', dead, ids)
many('HDEL', letters, ids)
tally(counts)
local fields = call('ZRANGEBYSCORE', postings_age, '-inf', cutoff, 'LIMIT', 0, number())
many('ZREM', postings_age, fields)
many('ZREM', postings_index, fields)
many('HDEL', postings, fields)
call('ZREMRANGEBYSCORE', unpacked, '-inf', cutoff)
return { #ids, #fields }
`)

// trimJournal drops what is old of a kind and was read by every watcher.
//
//	ARGV    kind, when what was recorded before goes, how many at most
//	touches journal:<kind>, observations
//	returns {how many went}
var trimJournal = coreScript(journals + `
local key, cutoff, n = journal[take()], number(), number()
local upTo = '+inf'
for _, place in ipairs(call('HVALS', positions)) do
  if upTo == '+inf' or tonumber(place) < tonumber(upTo) then upTo = place end
end
local old = {}
local ids = call('ZRANGEBYSCORE', key, '-inf', upTo, 'LIMIT', 0, n)
for i, body in ipairs(some(observations, ids)) do
  if tonumber(body:sub(1, 15)) >= cutoff then break end -- and what was recorded later is younger
  old[i] = ids[i]
end
many('ZREM', key, old)
many('HDEL', observations, old)
return { #old }
`)

// trimBars drops old days, symbol by symbol.
//
//	ARGV    the first day that stays, how many at most
//	touches bars, bars:index
//	returns {how many went}
var trimBars = coreScript(`
local day, n = take(), number()
local gone, from = 0, '-'
while gone < n do
  local first = call('ZRANGEBYLEX', bars_index, from, '+', 'LIMIT', 0, 1)[1]
  if not first then break end
  local size = first:match('^%d+')
  local mine = first:sub(1, #size + 1 + tonumber(size))
  local old = call('ZRANGEBYLEX', bars_index, '[' .. mine, '(' .. mine .. day, 'LIMIT', 0, n - gone)
  many('ZREM', bars_index, old)
  many('HDEL', bars, old)
  gone = gone + #old
  from = '(' .. mine .. '\255'
end
return { gone }
`)

// oldAlerts reads alerts that are old and spread.
//
//	ARGV    when what is older goes, how many are to be passed over, how many
//	        are to be looked at
//	touches nothing; reads alerts, alerts:age, spreads, moves, counters
//	returns {"alerts", number of the last move, how many were looked at, and of
//	        each that is spread: ID, and what is kept of it}, or what underway
//	        does
var oldAlerts = coreScript(`
local before = underway()
if before then return before end
local ids = call('ZRANGEBYSCORE', alerts_age, '-inf', '(' .. take(), 'LIMIT', number(), number())
local out = { 'alerts', tonumber(call('HGET', counters, 'move') or 0), #ids }
for i, kept in ipairs(some(alerts, ids)) do
  if not call('ZSCORE', spreads, ids[i]) then pair(out, ids[i], kept) end
end
return out
`)

// dropAlerts drops alerts that nothing is owed of. What is owed is counted in
// other places, one after the other; so if a chat moved meanwhile from one that
// was not yet counted to one that was, nothing is dropped.
//
//	ARGV    number of the last move before it was counted, how many, and of each:
//	        ID, sized topic, sized story
//	touches alerts, alerts:*
//	returns {how many went}
var dropAlerts = coreScript(`
if tonumber(call('HGET', counters, 'move') or 0) ~= number() then return { 0 } end
local n = number()
for _ = 1, n do
  local id, topic, story = take(), take(), take()
  local kept = call('HGET', alerts, id)
  if kept then
    local tail = kept:sub(1, 16) .. id
    call('HDEL', alerts, id)
    call('ZREM', alerts_age, id)
    call('ZREM', alerts_index, 'a' .. tail, 't' .. topic .. tail, 's' .. story .. tail)
  end
end
return { n }
`)

// Trim drops what is old.
func (s *Store) Trim(ctx context.Context, now time.Time, keep store.Keep, n int) (more bool, err error) {
	if n <= 0 {
		return false, nil
	}
	err = s.with(ctx, func() error {
		old := now.Add(-keep.Journal)
		full, err := s.trimLanes(ctx, old, n)
		if err != nil {
			return err
		}
		more = full
		if full, err = s.trimAlerts(ctx, now, old, n); err != nil {
			return err
		}
		more = more || full
		drop := func(script *redis.Script, a ...any) error {
			r, err := s.run(ctx, script, append(a, n))
			if err != nil {
				return err
			}
			more = more || r.int() == int64(n)
			return r.err
		}
		for _, k := range kinds {
			cutoff := old
			if k == chokepoint.KindQuote {
				cutoff = now.Add(-keep.Quotes)
			}
			if err := drop(trimJournal, string(k), millis(cutoff)); err != nil {
				return err
			}
		}
		return drop(trimBars, old.UTC().Format(time.DateOnly))
	})
	return more, wrap(err, "trimming")
}

// trimLanes drops dead letters and postings, up to n of each.
func (s *Store) trimLanes(ctx context.Context, old time.Time, n int) (full bool, err error) {
	letters, postings := n, n
	for part := range s.lanes {
		c := s.lane(trimLanes, part, "", args{millis(old), letters, postings})
		if err := s.runAll(ctx, []*call{c}); err != nil {
			return false, err
		}
		letters, postings = letters-int(c.reply.int()), postings-int(c.reply.int())
		if c.reply.err != nil {
			return false, c.reply.err
		}
	}
	return letters == 0 || postings == 0, nil
}

// trimAlerts drops up to n alerts. Those that are owed are passed over.
func (s *Store) trimAlerts(ctx context.Context, now, old time.Time, n int) (full bool, err error) {
	for left, passed := n, 0; ; {
		r, err := s.run(ctx, oldAlerts, args{millis(old), passed, left})
		if err != nil {
			return false, err
		}
		if r.text() == "moves" {
			if err := s.finishMoves(ctx, now, r); err != nil {
				return false, err
			}
			continue
		}
		epoch, seen := r.int(), int(r.int())
		if r.err != nil || seen == 0 {
			return false, r.err
		}
		var ids []string
		kept := map[string]string{}
		for len(r.list) > 0 {
			id := r.text()
			ids, kept[id] = append(ids, id), r.text()
		}
		if r.err != nil {
			return false, r.err
		}
		free, err := s.unowed(ctx, ids)
		if err != nil {
			return false, err
		}
		a := args{epoch, len(free)}
		for _, id := range free {
			al, err := parseAlert(id, kept[id])
			if err != nil {
				return false, err
			}
			a.add(id, sized(string(al.Topic)), sized(string(al.Story)))
		}
		if r, err = s.run(ctx, dropAlerts, a); err != nil {
			return false, err
		}
		dropped := int(r.int())
		if r.err != nil {
			return false, r.err
		}
		if dropped < len(free) {
			continue // a chat moved meanwhile: count again
		}
		if left -= dropped; left == 0 {
			return true, nil
		}
		passed += seen - dropped
	}
}

// unowed are those alerts of which no partition owes anything.
func (s *Store) unowed(ctx context.Context, ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var counts [partitions]*redis.SliceCmd
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for part := range s.lanes {
			counts[part] = p.HMGet(ctx, s.laneKey(part, "owed"), ids...)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	var free []string
	for i, id := range ids {
		owed := false
		for _, c := range counts {
			owed = owed || c.Val()[i] != nil
		}
		if !owed {
			free = append(free, id)
		}
	}
	return free, nil
}
