package redisstore

import (
	"github.com/redis/go-redis/v9"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// laneScript is a script on the keys of a partition, and on due of one
// platform.
func laneScript(src string) *redis.Script {
	return redis.NewScript(locals(append(laneKeys[:len(laneKeys):len(laneKeys)], "due")...) + prelude + lanePrelude + src)
}

// lanePrelude is what the scripts of lanes share.
//
// An entry is what is owed: msgpack{alert, story, queued, attempts, unknown,
// error}, always behind its seq.
//
// A lane is, in this order in lanes:
//
//	seen     number of the last alert that was spread to it
//	moved    number of the last move that emptied it
//	hold     nothing is granted before
//	tat      its pace, as pace makes it
//	head     the first of what is due (seq and entry), "" if nothing is: most
//	         lanes owe no more than that, so it is kept here and not in queue
//	token    of the last grant
//	expires  when the grant of head runs out, 0 if it is not granted
//	behind   how many members of queue are its
//	naps     how many members of snoozed are its
//	after    what the core has to hear of its last settlement: "gone", "moved",
//	         or ""
//
// A lane is in due if it owes anything and nothing of it is granted, in held if
// something is; a grant that ran out stays in held until it is settled or the
// lane is granted again.
const lanePrelude = `
-- fetch opens lanes by chat.
local function fetch(chats)
  local out = {}
  for i, kept in ipairs(some(lanes, chats)) do
    local l = kept and decode(kept) or { 0, 0, 0, '', '', 0, 0, 0, 0, '' }
    out[chats[i]] = { seen = l[1], moved = l[2], hold = l[3], tat = l[4], head = l[5], token = l[6], expires = l[7], behind = l[8], naps = l[9], after = l[10] }
  end
  return out
end

-- keep writes back lanes that fetch opened.
local function keep(opened)
  local list = {}
  for chat, l in pairs(opened) do
    pair(list, chat, encode({ l.seen, l.moved, l.hold, l.tat, l.head, l.token, l.expires, l.behind, l.naps, l.after }))
  end
  many('HSET', lanes, list)
end

-- entryOf reads the entry behind a seq.
local function entryOf(seqAndEntry) return decode(seqAndEntry:sub(17)) end

-- first is a lane's first member of queue or snoozed, nil if there is none.
local function first(key, mine)
  return call('ZRANGEBYLEX', key, '[' .. mine, '(' .. mine .. ':', 'LIMIT', 0, 1)[1]
end

-- every is all of them.
local function every(key, mine)
  return call('ZRANGEBYLEX', key, '[' .. mine, '(' .. mine .. ':')
end

-- advance makes the first member of queue the lane's head.
local function advance(l, mine)
  l.head = ''
  if l.behind == 0 then return end
  local member = first(queue, mine)
  call('ZREM', queue, member)
  l.head, l.behind = member:sub(#mine + 1), l.behind - 1
end

-- enter puts one more into a lane that is due, in its place by seq.
local function enter(l, mine, seqAndEntry)
  if l.head == '' then
    l.head = seqAndEntry
    return
  end
  if l.expires == 0 and tonumber(seqAndEntry:sub(1, 16)) < tonumber(l.head:sub(1, 16)) then
    l.head, seqAndEntry = seqAndEntry, l.head
  end
  call('ZADD', queue, '0', mine .. seqAndEntry)
  l.behind = l.behind + 1
end

-- falls is when a lane falls due, nil if nothing is owed.
local function falls(l, mine)
  local when
  if l.head ~= '' then when = entryOf(l.head)[3] end
  if l.naps > 0 then
    local nap = tonumber(first(snoozed, mine):sub(#mine + 1, #mine + 15))
    if not when or nap < when then when = nap end
  end
  return when and math.max(when, l.hold)
end

-- drain takes all that a lane owes out of it and returns it, as a list of when
-- its snooze ends or 0, and seq and entry.
local function drain(l, mine)
  local out, ready, naps = {}, every(queue, mine), every(snoozed, mine)
  if l.head ~= '' then pair(out, 0, l.head) end
  for _, member in ipairs(ready) do pair(out, 0, member:sub(#mine + 1)) end
  for _, member in ipairs(naps) do pair(out, tonumber(member:sub(#mine + 1, #mine + 15)), member:sub(#mine + 16)) end
  many('ZREM', queue, ready)
  many('ZREM', snoozed, naps)
  l.head, l.expires, l.behind, l.naps = '', 0, 0, 0
  return out
end

-- sooner has lanes fall due at a moment, if they do not before: a list of
-- moments and chats.
local function sooner(list)
  for i = 1, #list, 4000 do call('ZADD', due, 'LT', unpack(list, i, math.min(i + 3999, #list))) end
end

-- tally adds to the counts of what is owed or dead, by alert.
local function tally(counts)
  for alert, n in pairs(counts) do
    if call('HINCRBY', owed, alert, n) <= 0 then call('HDEL', owed, alert) end
  end
end

-- grow adds to the counts of what is owed, by when it was queued.
local function grow(counts)
  local all = 0
  for queued, n in pairs(counts) do
    all = all + n
    local left = call('HINCRBY', ages, queued, n)
    if left == n then call('ZADD', age, queued, queued) end
    if left <= 0 then
      call('HDEL', ages, queued)
      call('ZREM', age, queued)
    end
  end
  if all ~= 0 then call('HINCRBY', ages, 'all', all) end
end

-- count changes a count in a list of counts that tally or grow take.
local function count(counts, what, n) counts[what] = (counts[what] or 0) + n end

-- post writes where stories stand in chats: a list of fields of postings and
-- JSON, and one of when they were touched and the fields.
local function post(bodies, touched)
  local index = {}
  for i = 2, #touched, 2 do pair(index, '0', touched[i]) end
  many('HSET', postings, bodies)
  many('ZADD', postings_index, index)
  many('ZADD', postings_age, touched)
end
`

// push owes an alert to chats. Lanes that were pushed it, or a later one,
// before are passed over, and so are those that moved away after the page that
// names them was read.
//
//	ARGV    now, seq, number of the last move when the page was read, alert,
//	        story, how many chats, those
//	touches lanes, queue, age, ages, owed, due
//	returns {}
var push = laneScript(`
local digits, seq, epoch, alert, story = take(), number(), number(), take(), take()
local now, chats = tonumber(digits), {}
for i = 1, number() do chats[i] = take() end
local stamp = string.format('%016d', seq)
local entry = stamp .. encode({ alert, story, now, 0, 0, '' })
local opened = fetch(chats)
local changed, dues, n = {}, {}, 0
for _, chat in ipairs(chats) do
  local l = opened[chat]
  if l.seen < seq and l.moved <= epoch then
    l.seen, n, changed[chat] = seq, n + 1, l
    enter(l, sized(chat), entry)
    if l.expires == 0 then pair(dues, l.hold > now and l.hold or digits, chat) end
  end
end
if n == 0 then return {} end
sooner(dues)
tally({ [alert] = n })
grow({ [now] = n })
keep(changed)
return {}
`)

// grant leases lanes that are due, or whose grant ran out; of the chats given
// those that are neither are passed over.
//
//	ARGV    now, when the grants are to run out, how many chats, those
//	touches lanes, queue, snoozed, due, held, tokens
//	returns {of each grant: chat, token, alert, queued, attempts, unknown,
//	        error, pace, and the story's posting as JSON or ""}
var grant = laneScript(`
local now, expires = number(), take()
local chats = {}
for i = 1, number() do chats[i] = take() end
local opened, changed, out, fields, granted, holds = fetch(chats), {}, {}, {}, {}, {}
local token = call('INCRBY', tokens, #chats) - #chats
for i, chat in ipairs(chats) do
  local l = opened[chat]
  if l.hold <= now and l.expires <= now then
    local mine = sized(chat)
    if l.naps > 0 then
      -- What has slept enough is due, in its old place.
      local woken = call('ZRANGEBYLEX', snoozed, '[' .. mine, '(' .. mine .. string.format('%015d', now + 1))
      l.expires = 0
      for _, member in ipairs(woken) do enter(l, mine, member:sub(#mine + 16)) end
      many('ZREM', snoozed, woken)
      l.naps = l.naps - #woken
    end
    if l.head ~= '' then
      l.token, l.expires = token + i, tonumber(expires)
      changed[chat] = l
      local e = entryOf(l.head)
      local n = #fields
      local o = 9 * n
      out[o + 1], out[o + 2], out[o + 3], out[o + 4], out[o + 5] = chat, l.token, e[1], e[3], e[4]
      out[o + 6], out[o + 7], out[o + 8], out[o + 9] = e[5], e[6], l.tat, ''
      fields[n + 1] = mine .. e[2]
      push(granted, chat)
      pair(holds, expires, chat)
    end
  end
end
many('ZREM', due, granted)
many('ZADD', held, holds)
keep(changed)
for i, body in ipairs(some(postings, fields)) do
  if body then out[9 * i] = body end
end
return out
`)

// settle ends grants. One whose token is not its lane's, or that was settled,
// also in this very call, is lost.
//
//	ARGV    now, how many, and of each: chat, token, pace, outcome, and of
//	          "sent"     story ("" leaves its posting), posting's JSON, when it was touched
//	          "retry"    not before, 1 if it may have been shown, reason, "moved" or ""
//	          "snooze"   not before, 1 if it holds
//	          "dropped"  nothing
//	          "dead"     delivery's ID, 1 if it may have been shown, reason, "gone" or ""
//	touches all but tokens, parcels and unpacked. Its first write takes no
//	        memory, so that Redis lets it pass when it is full
//	returns {of each: 1, or 0 if it is lost, or 2 if it is lost because this same
//	        settlement was made before, and the core may not have heard that the
//	        chat is gone or moved}
var settle = laneScript(`
local now = number()
local list, chats = {}, {}
for i = 1, number() do
  local chat, token, tat, kind = take(), number(), take(), take()
  local s
  if kind == 'sent' then
    s = { chat = chat, token = token, tat = tat, kind = kind, story = take(), body = take(), touched = take() }
  elseif kind == 'retry' then
    s = { chat = chat, token = token, tat = tat, kind = kind, when = number(), unknown = number(), error = take(), after = take() }
  elseif kind == 'snooze' then
    s = { chat = chat, token = token, tat = tat, kind = kind, when = number(), hold = take() == '1' }
  elseif kind == 'dead' then
    s = { chat = chat, token = token, tat = tat, kind = kind, id = take(), unknown = number(), error = take(), after = take() }
  else
    s = { chat = chat, token = token, tat = tat, kind = kind }
  end
  list[i], chats[i] = s, chat
end
local opened, changed, out, good, ended = fetch(chats), {}, {}, {}, {}
for i, s in ipairs(list) do
  local l = opened[s.chat]
  out[i] = 0
  if l.expires > 0 and l.token == s.token and not changed[s.chat] then
    out[i], changed[s.chat] = 1, l
    push(good, s)
    push(ended, s.chat)
  elseif l.expires == 0 and l.token == s.token and s.after and s.after ~= '' and l.after == s.after then
    out[i] = 2
  end
end
many('ZREM', held, ended)
local sleep, bodies, touched, alerts, queued = {}, {}, {}, {}, {}
local function drop(e)
  count(alerts, e[1], -1)
  count(queued, e[3], -1)
end
for _, s in ipairs(good) do
  local l, mine = changed[s.chat], sized(s.chat)
  local head, e = l.head, entryOf(l.head)
  l.expires, l.hold, l.tat, l.after = 0, 0, s.tat, s.after or ''
  if s.kind == 'retry' then
    e[4], e[5], e[6] = e[4] + 1, e[5] + s.unknown, s.error
    l.head, l.hold = head:sub(1, 16) .. encode(e), s.when
  elseif s.kind == 'snooze' and s.hold then
    l.hold = s.when
  else
    advance(l, mine)
    if s.kind == 'snooze' then
      pair(sleep, '0', mine .. string.format('%015d', s.when) .. head)
      l.naps = l.naps + 1
    elseif s.kind == 'dead' then
      count(queued, e[3], -1) -- its alert goes on to be counted
      call('HSET', letters, s.id, encode({ s.chat, e[1], e[2], e[3], e[4] + 1, e[5] + s.unknown, s.error }))
      call('ZADD', dead, now, s.id)
      if s.after == 'gone' then
        local rest = drain(l, mine)
        for i = 2, #rest, 2 do drop(entryOf(rest[i])) end
      end
    else
      drop(e)
      if s.story and s.story ~= '' then
        pair(bodies, mine .. s.story, s.body)
        pair(touched, s.touched, mine .. s.story)
      end
    end
  end
end
many('ZADD', snoozed, sleep)
post(bodies, touched)
tally(alerts)
grow(queued)
local dues = {}
for chat, l in pairs(changed) do
  local when = falls(l, sized(chat))
  if when then pair(dues, when, chat) end
end
many('ZADD', due, dues)
keep(changed)
return out
`)

// requeue owes a dead letter again, behind what is owed already.
//
//	ARGV    now, seq, delivery's ID
//	touches lanes, queue, age, ages, letters, dead, due
//	returns {1}, or {} if it is not there
var requeue = laneScript(`
local now, seq, id = number(), number(), take()
local letter = call('HGET', letters, id)
if not letter then return {} end
letter = decode(letter)
local chat = letter[1]
local mine, opened = sized(chat), fetch({ chat })
local l, stamp = opened[chat], string.format('%016d', seq)
call('HDEL', letters, id)
call('ZREM', dead, id)
enter(l, mine, stamp .. encode({ letter[2], letter[3], now, 0, 0, '' }))
grow({ [now] = 1 })
if l.expires == 0 then sooner({ math.max(now, l.hold), chat }) end
keep(opened)
return { 1 }
`)

// newest reads dead letters, newest first.
//
//	ARGV    how many at most
//	touches nothing; reads dead, letters
//	returns {of each: ID, chat, alert, queued, attempts, unknown, error, when it
//	        was given up}
var newest = laneScript(`
local ids, whens, out = {}, {}, {}
local list = call('ZREVRANGE', dead, 0, number() - 1, 'WITHSCORES')
for i = 1, #list, 2 do push(ids, list[i]) push(whens, tonumber(list[i + 1])) end
for i, letter in ipairs(some(letters, ids)) do
  local e = decode(letter)
  row(out, ids[i], e[1], e[2], e[4], e[5], e[6], e[7], whens[i])
end
return out
`)

// putPosting writes where a story stands in a chat.
//
//	ARGV    chat, story, JSON, when it was touched
//	touches postings, postings:*
//	returns {}
var putPosting = laneScript(`
local field = sized(take()) .. take()
post({ field, take() }, { take(), field })
return {}
`)

// parsePosting reads a posting. Its chat is the one it is filed under.
func parsePosting(chat, body string) (chokepoint.Posting, error) {
	p, err := decode[chokepoint.Posting](body, "a posting in "+chat)
	p.Chat = chatID(chat)
	return p, err
}
