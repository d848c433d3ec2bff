package redisstore

import (
	"context"
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// nextPage reads the next chats of the oldest spread that is not finished: the
// followers of its topic behind its cursor, and then chats that it is for by
// name. While moves are under way there is none: they are to be finished first,
// so that no chat slips from behind the cursor to before it.
//
//	ARGV    how many at most
//	touches nothing; reads moves, spreads, spreads:progress, followers, targets,
//	        gone, counters
//	returns {} if there is nothing to spread, or what underway does, or {"page",
//	        alert, seq, story, number of the last move, cursor, next cursor, 1 if
//	        nothing is behind this page, how many targets, those, and chats that
//	        are to be pushed}
var nextPage = coreScript(`
local size, before = number(), underway()
if before then return before end
local oldest = call('ZRANGE', spreads, 0, 0, 'WITHSCORES')
if #oldest == 0 then return {} end
local id = oldest[1]
local p = decode(call('HGET', spreads_progress, id))
local topic, cursor, story = p[1], p[2], p[3]
local chats, named, next, done = {}, {}, cursor, 1
if topic ~= '' then
  local from = cursor == '' and '[' .. topic or '(' .. topic .. cursor
  for _, member in ipairs(call('ZRANGEBYLEX', followers, from, '(' .. topic .. '\255', 'LIMIT', 0, size)) do
    next = member:sub(#topic + 1)
    push(chats, next)
  end
  if #chats == size then done = 0 end
end
if done == 1 then
  local mine, left = sized(id), size - #chats
  for _, member in ipairs(call('ZRANGEBYLEX', targets, '[' .. mine, '(' .. mine .. '\255', 'LIMIT', 0, left)) do
    push(named, member:sub(#mine + 1))
  end
  if #named == left then done = 0 end
end
local out = { 'page', id, tonumber(oldest[2]), story, tonumber(call('HGET', counters, 'move') or 0), cursor, next, done, #named }
for _, chat in ipairs(named) do
  push(out, chat)
  if call('SISMEMBER', gone, chat) == 0 then push(chats, chat) end
end
for _, chat in ipairs(chats) do push(out, chat) end
return out
`)

// turnPage notes that a page was pushed. A cursor that is not where the page
// began was moved on by another, who pushed at least as much.
//
//	ARGV    by, alert, cursor, next cursor, 1 if nothing was behind the page,
//	        1 if something was pushed, how many targets, those
//	touches spreads, spreads:progress, targets
//	returns {how many spreads are left, what happened}
var turnPage = coreScript(`
local by, id, cursor, next, done, pushed = take(), take(), take(), take(), take() == '1', take() == '1'
local mine = sized(id)
for _ = 1, number() do call('ZREM', targets, mine .. take()) end
local kept = call('HGET', spreads_progress, id)
if kept then
  local p = decode(kept)
  if p[2] == cursor then
    -- A move may have added a target since.
    if done and #call('ZRANGEBYLEX', targets, '[' .. mine, '(' .. mine .. '\255', 'LIMIT', 0, 1) == 0 then
      call('ZREM', spreads, id)
      call('HDEL', spreads_progress, id)
    else
      call('HSET', spreads_progress, id, encode({ p[1], next, p[3] }))
    end
  end
end
return { call('ZCARD', spreads), tell(by, pushed and Owed or 0) }
`)

// Spread carries the oldest spread on by a page.
func (s *Store) Spread(ctx context.Context, now time.Time, page int) (more bool, err error) {
	err = s.with(ctx, func() error {
		r, err := s.run(ctx, nextPage, args{max(page, 1)})
		for err == nil && len(r.list) > 0 && r.text() == "moves" {
			if err = s.finishMoves(ctx, now, r); err == nil {
				r, err = s.run(ctx, nextPage, args{max(page, 1)})
			}
		}
		if err != nil || len(r.list) == 0 {
			return err
		}
		more, err = s.spread(ctx, now, r)
		return err
	})
	return more, wrap(err, "spreading")
}

// spread pushes a page that nextPage read, and turns it.
func (s *Store) spread(ctx context.Context, now time.Time, r *reply) (more bool, err error) {
	alert, seq, story, epoch := r.text(), r.int(), r.text(), r.int()
	cursor, next, done, named := r.text(), r.text(), r.int(), r.int()
	turn := args{s.wake.name, alert, cursor, next, done, 0, named}
	for range named {
		turn.add(r.text())
	}
	lanes := map[laneGroup][]string{}
	for len(r.list) > 0 {
		chat := r.text()
		g := groupOf(chat)
		lanes[g] = append(lanes[g], chat)
	}
	if r.err != nil {
		return false, r.err
	}
	calls := make([]*call, 0, len(lanes))
	for g, chats := range lanes {
		a := args{millis(now), seq, epoch, alert, story, len(chats)}
		for _, c := range chats {
			a.add(c)
		}
		calls = append(calls, s.lane(push, g.part, g.platform, a))
		turn[5] = 1
	}
	if err := s.runAll(ctx, calls); err != nil {
		return false, err
	}
	r, err = s.run(ctx, turnPage, turn)
	if err != nil {
		return false, err
	}
	more = r.int() > 0
	s.wake.tell(r.int())
	return more, r.err
}

// laneGroup is what one script of lanes can be run on.
type laneGroup struct {
	part     int
	platform chokepoint.Platform
}

func groupOf(chat string) laneGroup { return laneGroup{partition(chat), platform(chat)} }

// move is one that is not finished.
type move struct {
	number   int64
	from, to string
}

// beginMove moves what the core holds of a chat, and notes that its lane is to
// follow. One move is under way at a time.
//
//	ARGV    by, from, to, 1 to move even a chat that the desk does not know
//	touches chats, followers, follows, gone, moved, moves, rules, rules:*,
//	        targets, counters
//	returns {} if there is nothing to move, or what underway does, for those are
//	        to be finished first, or {"begun", what happened, number}
var beginMove = coreScript(`
local by, from, to, always = take(), take(), take(), take() == '1'
local before = underway()
if before then return before end
local body = call('HGET', chats, from)
if not body and not always then return {} end
local id = call('HINCRBY', counters, 'move', 1)
call('HSET', moves, from, encode({ id, to }))
call('HSET', moved, from, to)
call('HDEL', moved, to)

-- A spread under way may have passed the new ID and not the old one. If it has
-- passed both, the lane knows that it was pushed.
for _, alert in ipairs(call('ZRANGE', spreads, 0, -1)) do
  local mine, p = sized(alert), decode(call('HGET', spreads_progress, alert))
  local due = call('ZREM', targets, mine .. from) == 1
  if p[1] ~= '' and p[2] ~= '' and call('ZSCORE', followers, p[1] .. from) then due = true end
  if due then call('ZADD', targets, 0, mine .. to) end
end

if body then
  local topics = call('HGET', follows, from)
  unfollow(from)
  if call('HEXISTS', chats, to) == 0 then
    call('HSET', chats, to, body)
    if topics then follow(to, decode(topics)) end
    if call('SISMEMBER', gone, from) == 1 then call('SADD', gone, to) end
  end
  call('HDEL', chats, from)
  call('SREM', gone, from)
end

local mine = sized(from)
local fields = call('ZRANGEBYLEX', rules_index, '[' .. mine, '(' .. mine .. '\255')
for _, field in ipairs(fields) do
  local new = sized(to) .. field:sub(#mine + 1)
  if call('HEXISTS', rules, new) == 0 then
    call('HSET', rules, new, call('HGET', rules, field))
    call('HSET', rules_state, new, call('HGET', rules_state, field))
    call('ZADD', rules_index, 0, new)
  end
  call('HDEL', rules, field)
  call('HDEL', rules_state, field)
  call('ZREM', rules_index, field)
end
if #fields > 0 then call('HINCRBY', counters, 'rules', 1) end
return { 'begun', tell(by, Changed + Owed), id }
`)

// endMove forgets a move that is finished.
//
//	ARGV    from, number
//	touches moves
//	returns {}
var endMove = coreScript(`
local from, id = take(), number()
local m = call('HGET', moves, from)
if m and decode(m)[1] == id then call('HDEL', moves, from) end
return {}
`)

// packLane empties a lane into a parcel. A grant that is out is lost, and what
// it granted owed again. The counts in owed stay until the parcel is thrown
// away, so that Trim finds what is in it somewhere all the while.
//
//	ARGV    number, chat
//	touches all but tokens and unpacked
//	returns {} if the parcel was thrown away already, or {seen, hold, pace,
//	        how many deliveries, and of each: when its snooze ends or 0, seq and
//	        entry;
//	        how many postings, and of each: story, JSON, when it was touched;
//	        how many dead letters, and of each: alert, story, queued, attempts,
//	        unknown, error, when it was given up}
var packLane = laneScript(`
local id, chat = take(), take()
local parcel = call('HGET', parcels, id)
if parcel then return decode(parcel) end
local l, mine = fetch({ chat })[chat], sized(chat)
if l.moved >= tonumber(id) then return {} end
local owing, queued = drain(l, mine), {}
local out = { l.seen, l.hold, l.tat, #owing / 2 }
for i = 1, #owing, 2 do
  pair(out, owing[i], owing[i + 1])
  count(queued, entryOf(owing[i + 1])[3], -1)
end
grow(queued)
local fields = call('ZRANGEBYLEX', postings_index, '[' .. mine, '(' .. mine .. '\255')
push(out, #fields)
for _, field in ipairs(fields) do
  row(out, field:sub(#mine + 1), call('HGET', postings, field), tonumber(call('ZSCORE', postings_age, field)))
  call('HDEL', postings, field)
  call('ZREM', postings_index, field)
  call('ZREM', postings_age, field)
end
local mail = {}
local kept = call('HGETALL', letters)
for i = 1, #kept, 2 do
  local e = decode(kept[i + 1])
  if e[1] == chat then
    push(mail, { e[2], e[3], e[4], e[5], e[6], e[7], tonumber(call('ZSCORE', dead, kept[i])) })
    call('HDEL', letters, kept[i])
    call('ZREM', dead, kept[i])
  end
end
push(out, #mail)
for _, e in ipairs(mail) do row(out, unpack(e)) end
call('HSET', parcels, id, encode(out))
call('HSET', lanes, chat, encode({ l.seen, tonumber(id), 0, '', '', 0, 0, 0, 0, '' }))
call('ZREM', due, chat)
call('ZREM', held, chat)
return out
`)

// unpackLane puts a parcel into a lane, once by its number. What the lane has
// of its own stays: a delivery of the same alert, a posting of the same story.
//
//	ARGV    now, number, chat, and what packLane returns, each dead letter with
//	        its new ID in front
//	touches all but held, tokens and parcels
//	returns {}
var unpackLane = laneScript(`
local now, id, chat = number(), take(), take()
if call('ZSCORE', unpacked, id) then return {} end
call('ZADD', unpacked, now, id)
local mine, opened, alerts, queued = sized(chat), fetch({ chat }), {}, {}
local l, have = opened[chat], {}
if l.head ~= '' then have[entryOf(l.head)[1]] = true end
for _, member in ipairs(every(queue, mine)) do have[entryOf(member:sub(#mine + 1))[1]] = true end
for _, nap in ipairs(every(snoozed, mine)) do have[entryOf(nap:sub(#mine + 16))[1]] = true end
l.seen, l.hold = math.max(l.seen, number()), math.max(l.hold, number())
local tat = take()
if (tonumber(tat) or 0) > (tonumber(l.tat) or 0) then l.tat = tat end
for _ = 1, number() do
  local nap, one = number(), take()
  local e = entryOf(one)
  if not have[e[1]] then
    count(alerts, e[1], 1)
    count(queued, e[3], 1)
    if nap == 0 then
      enter(l, mine, one)
    else
      call('ZADD', snoozed, 0, mine .. string.format('%015d', nap) .. one)
      l.naps = l.naps + 1
    end
  end
end
for _ = 1, number() do
  local story, body, touched = take(), take(), take()
  if call('HEXISTS', postings, mine .. story) == 0 then
    post({ mine .. story, body }, { touched, mine .. story })
  end
end
for _ = 1, number() do
  local letter = take()
  local e = { chat, take(), take(), number(), number(), number(), take() }
  local when = take()
  if call('HSETNX', letters, letter, encode(e)) == 1 then
    call('ZADD', dead, when, letter)
    count(alerts, e[2], 1)
  end
end
tally(alerts)
grow(queued)
local when = l.expires == 0 and falls(l, mine)
if when then call('ZADD', due, when, chat) end
keep(opened)
return {}
`)

// dropParcel throws a parcel away that was unpacked.
//
//	ARGV    number
//	touches parcels, owed
//	returns {}
var dropParcel = laneScript(`
local id = take()
local parcel = call('HGET', parcels, id)
if not parcel then return {} end
call('HDEL', parcels, id)
local p, alerts, i = decode(parcel), {}, 4
for _ = 1, p[4] do count(alerts, entryOf(p[i + 2])[1], -1); i = i + 2 end
i = i + 1
i = i + 3 * p[i] + 1
for _ = 1, p[i] do count(alerts, p[i + 1], -1); i = i + 7 end
tally(alerts)
return {}
`)

// MoveChat gives a chat another ID.
func (s *Store) MoveChat(ctx context.Context, now time.Time, from, to chokepoint.ChatID) error {
	return wrap(s.with(ctx, func() error { return s.move(ctx, now, from.String(), to.String(), false) }), "moving the chat %s to %s", from, to)
}

// move moves a chat; with always, also one that the desk does not know.
func (s *Store) move(ctx context.Context, now time.Time, from, to string, always bool) error {
	if from == to {
		return nil
	}
	a := args{s.wake.name, from, to, 0}
	if always {
		a[3] = 1
	}
	for {
		r, err := s.run(ctx, beginMove, a)
		if err != nil || len(r.list) == 0 {
			return err
		}
		if r.text() == "moves" {
			if err := s.finishMoves(ctx, now, r); err != nil {
				return err
			}
			continue
		}
		happened, number := r.int(), r.int()
		if r.err != nil {
			return r.err
		}
		err = s.finishMove(ctx, now, move{number, from, to})
		s.wake.tell(happened)
		return err
	}
}

// listMoves lists the moves that are not finished.
//
//	ARGV    none
//	touches nothing; reads moves
//	returns {} if there are none, or what underway does
var listMoves = coreScript("return underway() or {}")

// finishAllMoves finishes all moves that are not.
func (s *Store) finishAllMoves(ctx context.Context, now time.Time) error {
	r, err := s.run(ctx, listMoves, nil)
	if err != nil || len(r.list) == 0 {
		return err
	}
	r.text()
	return s.finishMoves(ctx, now, r)
}

// finishMoves finishes the moves that underway listed.
func (s *Store) finishMoves(ctx context.Context, now time.Time, r *reply) error {
	for len(r.list) > 0 {
		m := move{r.int(), r.text(), r.text()}
		if r.err != nil {
			return r.err
		}
		if err := s.finishMove(ctx, now, m); err != nil {
			return err
		}
	}
	return nil
}

// finishMove carries a lane over. Each of its steps can be repeated, and taken
// by several at once.
func (s *Store) finishMove(ctx context.Context, now time.Time, m move) error {
	from, to := groupOf(m.from), groupOf(m.to)
	packed := s.lane(packLane, from.part, from.platform, args{m.number, m.from})
	if err := s.runAll(ctx, []*call{packed}); err != nil {
		return err
	}
	if r := &packed.reply; len(r.list) > 0 {
		a, err := unpackArgs(now, m, r)
		if err != nil {
			return err
		}
		for _, c := range []*call{
			s.lane(unpackLane, to.part, to.platform, a),
			s.lane(dropParcel, from.part, from.platform, args{m.number}),
		} {
			if err := s.runAll(ctx, []*call{c}); err != nil {
				return err
			}
		}
	}
	_, err := s.run(ctx, endMove, args{m.from, m.number})
	return err
}

// unpackArgs are unpackLane's, from what packLane returned.
func unpackArgs(now time.Time, m move, r *reply) (args, error) {
	a := args{millis(now), m.number, m.to}
	pass := func(n int64) {
		for range n {
			a.add(r.next())
		}
	}
	count := func(each int64) {
		n := r.int()
		a.add(n)
		pass(n * each)
	}
	pass(3)
	count(2)
	count(3)
	letters := r.int()
	a.add(letters)
	for range letters {
		alert := r.text()
		a.add(string(chokepoint.NewDeliveryID(chokepoint.AlertID(alert), chatID(m.to))), alert)
		pass(6)
	}
	return a, r.err
}
