package redisstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

// coreScript is a script on the core's keys.
func coreScript(src string) *redis.Script {
	return redis.NewScript(locals(coreKeys...) + prelude + corePrelude + src)
}

// corePrelude is what the core's scripts share.
var corePrelude = fmt.Sprintf("local Journaled, Committed, Owed, Changed = %d, %d, %d, %d\n",
	bits(store.Journaled), bits(store.Committed), bits(store.Owed), bits(store.Changed)) + `
-- tell notes for other processes that a process (by) made something happen,
-- and returns it.
local function tell(by, happened)
  if happened ~= 0 then call('XADD', changes, 'MAXLEN', '~', 1000, '*', 'w', happened, 'by', by) end
  return happened
end

-- holds takes a lease (name, holder, token) from ARGV and says whether it is
-- held at a moment.
local function holds(now)
  local name, holder, token = take(), take(), number()
  local l = call('HGET', leases, name)
  if not l then return false end
  l = decode(l)
  return l[1] == holder and l[2] == token and l[3] > now
end

-- home is the ID that a chat has now.
local function home(chat)
  for _ = 1, 100 do
    local to = call('HGET', moved, chat)
    if not to then break end
    chat = to
  end
  return chat
end

-- publish takes alerts from ARGV (how many; of each ID, JSON, At, sized topic,
-- story, how many chats it is for, and those) and writes those that are
-- new with their spreads. It returns how many are new.
local function publish()
  local fresh = 0
  for _ = 1, number() do
    local id, body, when, topic, story = take(), take(), take(), take(), take()
    local only = {}
    for i = 1, number() do only[i] = take() end
    if call('HEXISTS', alerts, id) == 0 then
      fresh = fresh + 1
      local seq = call('HINCRBY', counters, 'alert', 1)
      local stamp = string.format('%016d', seq)
      local tail = stamp .. id
      call('HSET', alerts, id, stamp .. body)
      call('ZADD', alerts_index, 0, 'a' .. tail, 0, 't' .. topic .. tail, 0, 's' .. sized(story) .. tail)
      call('ZADD', alerts_age, when, id)
      call('ZADD', spreads, seq, id)
      for _, chat in ipairs(only) do call('ZADD', targets, 0, sized(id) .. home(chat)) end
      call('HSET', spreads_progress, id, encode({#only == 0 and topic or '', '', story}))
    end
  end
  return fresh
end

-- underway lists the moves that are not finished, {"moves", and of each its
-- number, from, to}; nil if there are none.
local function underway()
  local list = call('HGETALL', moves)
  if #list == 0 then return nil end
  local out = { 'moves' }
  for i = 1, #list, 2 do
    local m = decode(list[i + 1])
    row(out, m[1], list[i], m[2])
  end
  return out
end

-- unfollow makes a chat a follower of nothing.
local function unfollow(chat)
  local topics = call('HGET', follows, chat)
  if not topics then return end
  for _, topic in ipairs(decode(topics)) do call('ZREM', followers, topic .. chat) end
  call('HDEL', follows, chat)
end

-- follow makes a chat a follower of a list of sized topics.
local function follow(chat, topics)
  for _, topic in ipairs(topics) do call('ZADD', followers, 0, topic .. chat) end
  if #topics > 0 then call('HSET', follows, chat, encode(topics)) end
end
`

const seqLen = 16 // digits of an alert's number

// parseAlert reads what is kept of an alert.
func parseAlert(id, kept string) (chokepoint.Alert, error) {
	if len(kept) < seqLen {
		return chokepoint.Alert{}, damaged("the alert "+id, errors.New("it is too short"))
	}
	return decode[chokepoint.Alert](kept[seqLen:], "the alert "+id)
}

// addAlerts adds what publish takes.
func (a *args) addAlerts(alerts []chokepoint.Alert) error {
	a.add(len(alerts))
	for _, al := range alerts {
		body, err := json.Marshal(al)
		if err != nil {
			return fmt.Errorf("alert %s: %w", al.ID, err)
		}
		a.add(string(al.ID), body, millis(al.At), sized(string(al.Topic)), string(al.Story), len(al.Only))
		for _, c := range al.Only {
			a.add(c.String())
		}
	}
	return nil
}

// addLease adds what holds takes.
func (a *args) addLease(l chokepoint.Lease) { a.add(l.Name, l.Holder, l.Token) }

// kinds are those of observations; each has a key journal:<kind>.
var kinds = []chokepoint.Kind{chokepoint.KindNews, chokepoint.KindFiling, chokepoint.KindPermit, chokepoint.KindQuote, chokepoint.KindBar}

// journals is a Lua table from a kind to its key.
const journals = `
local journal = { news = journal_news, filing = journal_filing, permit = journal_permit, quote = journal_quote, bar = journal_bar }
`

func checkKind(k chokepoint.Kind) error {
	if !slices.Contains(kinds, k) {
		return fmt.Errorf("%q is no kind of observation", k)
	}
	return nil
}

// decode reads JSON that this package wrote.
func decode[T any](body, what string) (T, error) {
	var v T
	if err := json.Unmarshal([]byte(body), &v); err != nil {
		return v, damaged(what, err)
	}
	return v, nil
}

// expiry is when a lease or grant given now runs out, as scripts and callers
// know it.
func expiry(now time.Time, ttl time.Duration) (int64, time.Time) {
	ms := millis(now.Add(ttl))
	return ms, moment(ms)
}
