package redisstore

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Rules that all scripts follow.
//
// KEYS are all keys of one hash tag, in the order of coreKeys or laneKeys; a
// prelude gives each to a local of its name, with ":" written as "_". ARGV is
// read in order with take(). Moments are whole milliseconds since 1970, 0 for a
// zero time. An alert's number ("seq") is 16 digits where it is part of a sorted
// set's member, so that members sort by it. Where names are joined to one member
// each but the last is "sized": its length in bytes, ":", and itself; so no name
// can be taken for part of another, whatever it holds.
//
// "[x" … "(x\255" below is every member that begins with x: what follows a
// sized name is a digit or a platform's name, neither of which begins with
// byte 255.

// coreKeys are what {core} holds.
var coreKeys = []string{
	"leases",  // hash  name → msgpack{holder, token, expires}; expires 0 when released
	"cursors", // hash  source → cursor
	"health",  // hash  source → JSON
	"items",   // hash  source → observations ever recorded

	"observations",     // hash  ID → 15 digits of when it was recorded, JSON
	"journal:news",     // zset  ID → place in the journal …
	"journal:filing",   //
	"journal:permit",   //
	"journal:quote",    //
	"journal:bar",      // … by kind
	"quotes",           // hash  symbol → 20 digits of the trade's time in ns, JSON of the observation
	"bars",             // hash  sized symbol, day → JSON of the observation
	"bars:index",       // zset  by lex: the fields of bars
	"counters",         // hash  place (in the journal), alert (seq), rules (version), move
	"positions",        // hash  watcher → place
	"states",           // hash  watcher → bytes
	"ticks",            // hash  watcher → JSON
	"cards",            // hash  sized kind, ID → JSON
	"rules",            // hash  sized chat, ID → 20 characters for symbol and text, JSON of what a person set
	"rules:state",      // hash  the same → JSON of what a watcher set
	"rules:index",      // zset  by lex: the fields of rules
	"alerts",           // hash  ID → seq, JSON
	"alerts:index",     // zset  by lex: "a" seq ID, "t" sized topic seq ID, "s" sized story seq ID
	"alerts:age",       // zset  ID → Alert.At
	"spreads",          // zset  alert → seq; those that are not finished
	"spreads:progress", // hash  alert → msgpack{sized topic or "" if it is for some chats only, last chat that was read, story}
	"targets",          // zset  by lex: sized alert, chat; owed it whatever it follows
	"followers",        // zset  by lex: sized topic, chat; those that can be reached
	"follows",          // hash  chat → msgpack of the sized topics that it is a follower of
	"gone",             // set   chats that can not be reached
	"chats",            // hash  chat → JSON
	"moved",            // hash  chat → the ID that it got
	"moves",            // hash  chat → msgpack{number, to}; those that are not finished
	"marks",            // hash  name → value
	"changes",          // stream  w: which of store.What, as bits; by: whose
}

// laneKeys are what each {lane:NN} holds, without due, which there is one of
// for each platform and which follows them in KEYS.
var laneKeys = []string{
	"lanes",          // hash  chat → msgpack, see lanePrelude
	"queue",          // zset  by lex: sized chat, seq, entry; what is due behind the first of its lane
	"snoozed",        // zset  by lex: sized chat, 15 digits of when it ends, seq, entry
	"ages",           // hash  when something was queued → how many of that moment are owed; "all" → how many in all
	"age",            // zset  when something was queued that is owed → the same
	"held",           // zset  chat → when its grant runs out
	"tokens",         // string  the last grant's token
	"letters",        // hash  delivery's ID → msgpack{chat, alert, story, queued, attempts, unknown, error}; the dead
	"dead",           // zset  delivery's ID → when it was given up
	"owed",           // hash  alert → how many deliveries and dead letters there are of it
	"postings",       // hash  sized chat, story → JSON
	"postings:index", // zset  by lex: the fields of postings
	"postings:age",   // zset  field of postings → when it was last touched
	"parcels",        // hash  number of a move → msgpack, see pack
	"unpacked",       // zset  number of a move → when
}

// keys are the full names of the keys of a tag.
func keys(prefix, tag string, names []string) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = fmt.Sprintf("%s:{%s}:%s", prefix, tag, name)
	}
	return out
}

// locals is the Lua that gives KEYS their names.
func locals(names ...string) string {
	return "local " + strings.ReplaceAll(strings.Join(names, ", "), ":", "_") + " = unpack(KEYS)\n"
}

const prelude = `
local at = 0
local function take() at = at + 1; return ARGV[at] end
local function number() return tonumber(take()) end
local function sized(s) return #s .. ':' .. s end
local call, encode, decode = redis.call, cmsgpack.pack, cmsgpack.unpack

-- many calls a command on a key with a long list of arguments, so many at a
-- time that they fit on Lua's stack. It costs far less than as many calls, here
-- and in the append-only file.
local function many(command, key, list)
  for i = 1, #list, 4000 do call(command, key, unpack(list, i, math.min(i + 3999, #list))) end
end

-- push appends to a list, and pair appends two. Scores that go into long lists
-- are digits: Redis turns numbers into text slowly.
local function push(list, v) list[#list + 1] = v end
local function pair(list, v, w)
  local n = #list
  list[n + 1], list[n + 2] = v, w
end

-- row appends any number.
local function row(list, ...)
  for _, v in ipairs({ ... }) do list[#list + 1] = v end
end

-- some reads fields of a hash, as HMGET does.
local function some(key, fields)
  local out = {}
  if #fields == 0 then return out end
  if #fields <= 4000 then return call('HMGET', key, unpack(fields)) end
  for i = 1, #fields, 4000 do
    local part = call('HMGET', key, unpack(fields, i, math.min(i + 3999, #fields)))
    for j = 1, #part do out[i + j - 1] = part[j] end
  end
  return out
end
`

// place finds a key among names; it panics on one that is not there.
func place(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	panic("redisstore: no key is called " + name)
}

// coreKey is the full name of one of the core's keys.
func (s *Store) coreKey(name string) string { return s.core[place(coreKeys, name)] }

// laneKey is the full name of one of a partition's keys.
func (s *Store) laneKey(part int, name string) string { return s.lanes[part][place(laneKeys, name)] }

// dueKey is the sorted set of a partition's lanes that nobody holds: chat →
// when it falls due.
func (s *Store) dueKey(part int, p chokepoint.Platform) string {
	return fmt.Sprintf("%s:{lane:%02d}:due:%s", s.prefix, part, p)
}

// partition is where a chat's lane is.
func partition(chat string) int {
	h := fnv.New32a()
	h.Write([]byte(chat))
	return int(h.Sum32() % partitions)
}

// platform is the part of a chat's name before the colon.
func platform(chat string) chokepoint.Platform {
	p, _, _ := strings.Cut(chat, ":")
	return chokepoint.Platform(p)
}

// chatID is what ChatID.String made.
func chatID(chat string) chokepoint.ChatID {
	p, id, _ := strings.Cut(chat, ":")
	return chokepoint.ChatID{Platform: chokepoint.Platform(p), ID: id}
}

func sized(s string) string { return strconv.Itoa(len(s)) + ":" + s }

// unsize takes a sized name off the front of s.
func unsize(s string) (name, rest string, err error) {
	n, rest, ok := strings.Cut(s, ":")
	size, err := strconv.Atoi(n)
	if !ok || err != nil || size < 0 || size > len(rest) {
		return "", "", damaged("a key", errors.New("no sized name"))
	}
	return rest[:size], rest[size:], nil
}

// millis is a moment as scripts know it; a fraction is cut off.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// notBefore is millis for a moment that must not come too early.
func notBefore(t time.Time) int64 {
	ms := millis(t)
	if ms != 0 && time.UnixMilli(ms).Before(t) {
		ms++
	}
	return max(ms, 0)
}

// moment is what millis made of a time.
func moment(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// nanos is a moment to the nanosecond, so wide that it sorts as text; what is
// before 1970 or after 2262 is put at an end.
func nanos(t time.Time) string {
	n := t.UnixNano()
	switch {
	case t.Year() < 1970:
		n = 0
	case t.Year() > 2261:
		n = math.MaxInt64
	}
	return fmt.Sprintf("%020d", n)
}

// pace is a pace as a lane keeps it.
func pace(p chokepoint.Pace) string {
	if p.TAT.IsZero() {
		return ""
	}
	return strconv.FormatInt(p.TAT.UnixNano(), 10)
}

func parsePace(s string) (chokepoint.Pace, error) {
	if s == "" {
		return chokepoint.Pace{}, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return chokepoint.Pace{}, damaged("a pace", err)
	}
	return chokepoint.Pace{TAT: time.Unix(0, n).UTC()}, nil
}

// damaged is the error of what can not be read back.
func damaged(what string, err error) error {
	return fmt.Errorf("%s in Redis is damaged or of another version: %w", what, err)
}

// args are a script's ARGV.
type args []any

func (a *args) add(v ...any) { *a = append(*a, v...) }

// reply reads what a script returned, an array of strings and numbers, in
// order. The first thing that is not as expected ends in err.
type reply struct {
	list []any
	err  error
}

func (r *reply) next() any {
	if len(r.list) == 0 {
		if r.err == nil {
			r.err = damaged("a reply", errors.New("it is too short"))
		}
		return nil
	}
	v := r.list[0]
	r.list = r.list[1:]
	return v
}

func (r *reply) text() string {
	v := r.next()
	t, ok := v.(string)
	if !ok && r.err == nil {
		r.err = damaged("a reply", fmt.Errorf("a %T for a string", v))
	}
	return t
}

func (r *reply) int() int64 {
	v := r.next()
	n, ok := v.(int64)
	if !ok && r.err == nil {
		r.err = damaged("a reply", fmt.Errorf("a %T for a number", v))
	}
	return n
}

// call is a script with what it is run on. The reply is there after run.
type call struct {
	script *redis.Script
	keys   []string
	args   args
	reply  reply
}

// run runs one script of the core.
func (s *Store) run(ctx context.Context, script *redis.Script, a args) (*reply, error) {
	c := call{script: script, keys: s.core, args: a}
	err := s.runAll(ctx, []*call{&c})
	return &c.reply, err
}

// lane is a call of a script on a partition, for the chats of a platform.
func (s *Store) lane(script *redis.Script, part int, p chokepoint.Platform, a args) *call {
	return &call{script: script, keys: append(s.lanes[part][:len(laneKeys):len(laneKeys)], s.dueKey(part, p)), args: a}
}

// runAll runs scripts, in one round trip to each server if it has them already
// (one that was restarted or failed over has not). Each of them is atomic;
// together they are not. The error is the first one's that failed.
func (s *Store) runAll(ctx context.Context, calls []*call) error {
	if len(calls) == 0 {
		return nil
	}
	cmds := make([]*redis.Cmd, len(calls))
	var unknown []int
	if _, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, c := range calls {
			cmds[i] = c.script.EvalSha(ctx, p, c.keys, c.args...)
		}
		return nil
	}); err != nil {
		for i, cmd := range cmds {
			if redis.HasErrorPrefix(cmd.Err(), "NOSCRIPT") {
				unknown = append(unknown, i)
			}
		}
	}
	if len(unknown) > 0 {
		_, _ = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error { // each command has its error
			for _, i := range unknown {
				cmds[i] = calls[i].script.Eval(ctx, p, calls[i].keys, calls[i].args...)
			}
			return nil
		})
	}
	for i, cmd := range cmds {
		v, err := cmd.Result()
		if err != nil {
			return err
		}
		list, ok := v.([]any)
		if !ok {
			return damaged("a reply", fmt.Errorf("a %T for an array", v))
		}
		calls[i].reply = reply{list: list}
	}
	return nil
}
