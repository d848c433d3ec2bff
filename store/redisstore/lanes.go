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
// A lane is, in this order in lanes:
//
//	seen     number of the last alert that was spread to it
//	moved    number of the last move that emptied it
//	hold     nothing is granted before
//	tat      its pace, as pace makes it
//	head     what is granted, as a member of queue, where it stays; "" if nothing is
//	token    of the last grant
//	expires  when the grant runs out
//	ready    how many members of queue are its
//	naps     how many members of snoozed are its
//
// A lane is in due if it owes anything and nothing of it is granted, in held if
// something is; a grant that ran out stays in held until it is settled or the
// lane is granted again. An entry is msgpack{alert, story, queued, attempts,
// unknown, error}.
const lanePrelude = `
-- fetch opens lanes by chat.
local function fetch(chats)
  local out = {}
  for i, kept in ipairs(some(lanes, chats)) do
    local l = kept and decode(kept) or { 0, 0, 0, '', '', 0, 0, 0, 0 }
    out[chats[i]] = { seen = l[1], moved = l[2], hold = l[3], tat = l[4], head = l[5], token = l[6], expires = l[7], ready = l[8], naps = l[9] }
  end
  return out
end

-- keep writes back lanes that fetch opened.
local function keep(opened)
  local list = {}
  for chat, l in pairs(opened) do
    push(list, chat, encode({ l.seen, l.moved, l.hold, l.tat, l.head, l.token, l.expires, l.ready, l.naps }))
  end
  many('HSET', lanes, list)
end

-- Where the parts of a member are, of queue and of snoozed, behind the sized
-- chat.
local function stampOf(mine, member) return member:sub(#mine + 1, #mine + 16) end
local function entryOf(mine, member) return member:sub(#mine + 17) end
local function napOf(mine, member) return tonumber(member:sub(#mine + 1, #mine + 15)) end
local function wokenOf(mine, member) return mine .. member:sub(#mine + 16) end

-- first is a lane's first member of queue or snoozed, nil if there is none.
local function first(key, mine)
  return call('ZRANGEBYLEX', key, '[' .. mine, '(' .. mine .. ':', 'LIMIT', 0, 1)[1]
end

-- every is all of them.
local function every(key, mine)
  return call('ZRANGEBYLEX', key, '[' .. mine, '(' .. mine .. ':')
end

-- falls is when a lane falls due, nil if nothing is owed.
local function falls(l, mine)
  local when
  if l.ready > 0 then when = decode(entryOf(mine, first(queue, mine)))[3] end
  if l.naps > 0 then
    local nap = napOf(mine, first(snoozed, mine))
    if not when or nap < when then when = nap end
  end
  return when and math.max(when, l.hold)
end

-- tally adds to the counts of what is owed, by alert.
local function tally(counts)
  for alert, n in pairs(counts) do
    if call('HINCRBY', owed, alert, n) <= 0 then call('HDEL', owed, alert) end
  end
end

-- post writes where a story stands in a chat.
local function post(chat, story, body, touched)
  local field = sized(chat) .. story
  call('HSET', postings, field, body)
  call('ZADD', postings_index, 0, field)
  call('ZADD', postings_age, touched, field)
end
`

// push owes an alert to chats. Lanes that were pushed it, or a later one,
// before are passed over, and so are those that moved away after the page that
// names them was read.
//
//	ARGV    now, seq, number of the last move when the page was read, alert,
//	        story, how many chats, those
//	touches lanes, queue, age, owed, due
//	returns {}
var push = laneScript(`
local now, seq, epoch, alert, story = number(), number(), number(), take(), take()
local chats = {}
for i = 1, number() do chats[i] = take() end
local stamp = string.format('%016d', seq)
local entry = stamp .. encode({ alert, story, now, 0, 0, '' })
local opened = fetch(chats)
local changed, members, ages, dues, n = {}, {}, {}, {}, 0
for _, chat in ipairs(chats) do
  local l = opened[chat]
  if l.seen < seq and l.moved <= epoch then
    local mine = sized(chat)
    l.seen, l.ready, n = seq, l.ready + 1, n + 1
    changed[chat] = l
    push(members, 0, mine .. entry)
    push(ages, now, mine .. stamp)
    if l.head == '' then push(dues, math.max(now, l.hold), chat) end
  end
end
if n == 0 then return {} end
many('ZADD', queue, members)
many('ZADD', age, ages)
for i = 1, #dues, 2 do call('ZADD', due, 'LT', dues[i], dues[i + 1]) end
tally({ [alert] = n })
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
local now, expires = number(), number()
local chats = {}
for i = 1, number() do chats[i] = take() end
local opened, changed, rows, fields, granted, holds = fetch(chats), {}, {}, {}, {}, {}
local token = call('INCRBY', tokens, #chats) - #chats
for i, chat in ipairs(chats) do
  local l = opened[chat]
  if l.hold <= now and (l.head == '' or l.expires <= now) then
    local mine = sized(chat)
    if l.naps > 0 then
      -- What has slept enough is ready, in its old place.
      for _, nap in ipairs(call('ZRANGEBYLEX', snoozed, '[' .. mine, '(' .. mine .. string.format('%015d', now + 1))) do
        call('ZREM', snoozed, nap)
        call('ZADD', queue, 0, wokenOf(mine, nap))
        l.naps, l.ready = l.naps - 1, l.ready + 1
        changed[chat] = l
      end
    end
    local head = l.ready > 0 and first(queue, mine)
    if head then
      l.head, l.token, l.expires = head, token + i, expires
      changed[chat] = l
      local e = decode(entryOf(mine, head))
      rows[#rows + 1] = { chat, l.token, e[1], e[3], e[4], e[5], e[6], l.tat }
      fields[#fields + 1] = mine .. e[2]
      push(granted, chat)
      push(holds, expires, chat)
    end
  end
end
many('ZREM', due, granted)
many('ZADD', held, holds)
keep(changed)
local out, bodies = {}, some(postings, fields)
for i, row in ipairs(rows) do push(out, unpack(row)); push(out, bodies[i] or '') end
return out
`)

// settle ends grants. One whose token is not its lane's, or that was settled,
// also in this very call, is lost.
//
//	ARGV    now, how many, and of each: chat, token, pace, outcome, and of
//	          "sent"     story ("" leaves its posting), posting's JSON, when it was touched
//	          "retry"    not before, 1 if it may have been shown, reason
//	          "snooze"   not before, 1 if it holds
//	          "dropped"  nothing
//	          "dead"     delivery's ID, 1 if it may have been shown, reason, 1 if the chat is gone
//	touches all but tokens, parcels and unpacked. Its first write takes no
//	        memory, so that Redis lets it pass when it is full
//	returns {of each: 1, or 0 if it is lost}
var settle = laneScript(`
local now = number()
local list, chats = {}, {}
for i = 1, number() do
  local s = { chat = take(), token = number(), tat = take(), kind = take() }
  if s.kind == 'sent' then
    s.story, s.body, s.touched = take(), take(), number()
  elseif s.kind == 'retry' then
    s.when, s.unknown, s.error = number(), number(), take()
  elseif s.kind == 'snooze' then
    s.when, s.hold = number(), take() == '1'
  elseif s.kind == 'dead' then
    s.id, s.unknown, s.error, s.gone = take(), number(), take(), take() == '1'
  end
  list[i], chats[i] = s, s.chat
end
local opened, changed, out, good, ended = fetch(chats), {}, {}, {}, {}
for i, s in ipairs(list) do
  local l = opened[s.chat]
  out[i] = 0
  if l.head ~= '' and l.token == s.token and not changed[s.chat] then
    out[i], changed[s.chat] = 1, l
    push(good, s)
    push(ended, s.chat)
  end
end
many('ZREM', held, ended)
local leave, forget, enter, sleep, counts = {}, {}, {}, {}, {}
local function drop(mine, stamp, alert)
  push(forget, mine .. stamp)
  counts[alert] = (counts[alert] or 0) - 1
end
for _, s in ipairs(good) do
  local l, mine = changed[s.chat], sized(s.chat)
  local head = l.head
  local stamp, e = stampOf(mine, head), decode(entryOf(mine, head))
  l.head, l.hold, l.tat = '', 0, s.tat
  if s.kind == 'sent' or s.kind == 'dropped' then
    push(leave, head)
    drop(mine, stamp, e[1])
    l.ready = l.ready - 1
    if s.story and s.story ~= '' then post(s.chat, s.story, s.body, s.touched) end
  elseif s.kind == 'retry' then
    e[4], e[5], e[6] = e[4] + 1, e[5] + s.unknown, s.error
    push(leave, head)
    push(enter, 0, mine .. stamp .. encode(e))
    l.hold = s.when
  elseif s.kind == 'snooze' and s.hold then
    l.hold = s.when
  elseif s.kind == 'snooze' then
    push(leave, head)
    push(sleep, 0, mine .. string.format('%015d', s.when) .. head:sub(#mine + 1))
    l.ready, l.naps = l.ready - 1, l.naps + 1
  elseif s.kind == 'dead' then
    push(leave, head)
    push(forget, mine .. stamp)
    l.ready = l.ready - 1
    call('HSET', letters, s.id, encode({ s.chat, e[1], e[2], e[3], e[4] + 1, e[5] + s.unknown, s.error }))
    call('ZADD', dead, now, s.id)
    if s.gone then
      for _, member in ipairs(every(queue, mine)) do
        if member ~= head then
          push(leave, member)
          drop(mine, stampOf(mine, member), decode(entryOf(mine, member))[1])
        end
      end
      for _, nap in ipairs(every(snoozed, mine)) do
        local member = wokenOf(mine, nap)
        call('ZREM', snoozed, nap)
        drop(mine, stampOf(mine, member), decode(entryOf(mine, member))[1])
      end
      l.ready, l.naps = 0, 0
    end
  end
end
many('ZREM', queue, leave)
many('ZREM', age, forget)
many('ZADD', queue, enter)
many('ZADD', snoozed, sleep)
tally(counts)
local dues = {}
for chat, l in pairs(changed) do
  local when = falls(l, sized(chat))
  if when then push(dues, when, chat) end
end
many('ZADD', due, dues)
keep(changed)
return out
`)

// requeue owes a dead letter again, behind what is owed already.
//
//	ARGV    now, seq, delivery's ID
//	touches lanes, queue, age, letters, dead, due
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
call('ZADD', queue, 0, mine .. stamp .. encode({ letter[2], letter[3], now, 0, 0, '' }))
call('ZADD', age, now, mine .. stamp)
l.ready = l.ready + 1
if l.head == '' then call('ZADD', due, 'LT', math.max(now, l.hold), chat) end
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
for i = 1, #list, 2 do push(ids, list[i]); push(whens, tonumber(list[i + 1])) end
for i, letter in ipairs(some(letters, ids)) do
  local e = decode(letter)
  push(out, ids[i], e[1], e[2], e[4], e[5], e[6], e[7], whens[i])
end
return out
`)

// putPosting writes where a story stands in a chat.
//
//	ARGV    chat, story, JSON, when it was touched
//	touches postings, postings:*
//	returns {}
var putPosting = laneScript(`
post(take(), take(), take(), take())
return {}
`)

// parsePosting reads a posting. Its chat is the one it is filed under.
func parsePosting(chat, body string) (chokepoint.Posting, error) {
	p, err := decode[chokepoint.Posting](body, "a posting in "+chat)
	p.Chat = chatID(chat)
	return p, err
}
