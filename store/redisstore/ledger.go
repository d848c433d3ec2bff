package redisstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/store"
)

// commit takes a watcher's step.
//
//	ARGV    by, now, lease (3), watcher, place, 1 if there is a state, state,
//	        report's JSON;
//	        how many cards, and of each: field of cards, JSON;
//	        how many rules, and of each: chat, ID, identity, JSON of its state;
//	        alerts (see publish)
//	touches leases, positions, states, ticks, cards, rules:state, and what
//	        publish does. The state of a rule that is no more, or has another
//	        identity, is passed over
//	returns {what happened}, or {} if the lease is lost, and then nothing is
//	        changed
var commit = coreScript(`
local by, now = take(), number()
if not holds(now) then return {} end
local watcher = take()
call('HSET', positions, watcher, take())
local has, state = take(), take()
if has == '1' then call('HSET', states, watcher, state) end
call('HSET', ticks, watcher, take())
for _ = 1, number() do call('HSET', cards, take(), take()) end
for _ = 1, number() do
  local field = sized(home(take())) .. take()
  local identity, state = take(), take()
  local rule = call('HGET', rules, field)
  if rule and rule:sub(1, #identity) == identity then call('HSET', rules_state, field, state) end
end
return { tell(by, publish() > 0 and Committed or 0) }
`)

// Checkpoint is what a watcher remembers.
func (s *Store) Checkpoint(ctx context.Context, watcher string) (cp chokepoint.Checkpoint, err error) {
	err = s.with(ctx, func() error {
		var place, state *redis.StringCmd
		if _, err := s.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
			place, state = p.HGet(ctx, s.coreKey("positions"), watcher), p.HGet(ctx, s.coreKey("states"), watcher)
			return nil
		}); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		if place.Err() == nil {
			cp.Position = position(place.Val())
		}
		if state.Err() == nil {
			cp.State = []byte(state.Val())
		}
		return nil
	})
	return cp, wrap(err, "reading the checkpoint of %s", watcher)
}

// Commit takes a step of a watcher.
func (s *Store) Commit(ctx context.Context, now time.Time, st store.Step) error {
	err := s.with(ctx, func() error {
		a, err := commitArgs(now, s.wake.name, st)
		if err != nil {
			return err
		}
		r, err := s.run(ctx, commit, a)
		if err != nil {
			return err
		}
		if len(r.list) == 0 {
			return chokepoint.ErrLeaseLost
		}
		s.wake.tell(r.int())
		return r.err
	})
	return wrap(err, "committing a step of %s", st.Watcher)
}

func commitArgs(now time.Time, by string, st store.Step) (args, error) {
	place, err := number(st.Position)
	if err != nil {
		return nil, err
	}
	report, err := json.Marshal(st.Report)
	if err != nil {
		return nil, err
	}
	has := 0
	if st.State != nil {
		has = 1
	}
	var a args
	a.add(by, millis(now))
	a.addLease(st.Lease)
	a.add(st.Watcher, place, has, st.State, report, len(st.Cards))
	for _, c := range st.Cards {
		body, err := json.Marshal(c)
		if err != nil {
			return nil, fmt.Errorf("card %s/%s: %w", c.Kind, c.ID, err)
		}
		a.add(sized(string(c.Kind))+c.ID, body)
	}
	a.add(len(st.Rules))
	for _, r := range st.Rules {
		_, state, err := splitRule(r)
		if err != nil {
			return nil, err
		}
		a.add(r.Chat.String(), r.ID, identity(r), state)
	}
	return a, a.addAlerts(st.Alerts)
}

// Ticks is the last report of each watcher.
func (s *Store) Ticks(ctx context.Context) ([]chokepoint.TickReport, error) {
	ts, err := all[chokepoint.TickReport](ctx, s, "ticks", "a tick's report")
	slices.SortFunc(ts, func(a, b chokepoint.TickReport) int { return cmp.Compare(a.Watcher, b.Watcher) })
	return ts, wrap(err, "reading the watchers' reports")
}

// Board is every card.
func (s *Store) Board(ctx context.Context) ([]chokepoint.Card, error) {
	cs, err := all[chokepoint.Card](ctx, s, "cards", "a card")
	slices.SortFunc(cs, func(a, b chokepoint.Card) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	return cs, wrap(err, "reading the board")
}

// all is every value of one of the core's hashes, in no order.
func all[T any](ctx context.Context, s *Store, key, what string) (out []T, err error) {
	err = s.with(ctx, func() error {
		bodies, err := s.rdb.HVals(ctx, s.coreKey(key)).Result()
		for _, body := range bodies {
			v, err := decode[T](body, what)
			if err != nil {
				return err
			}
			out = append(out, v)
		}
		return err
	})
	return out, err
}

// A rule is kept in two parts: what a person set, and what a watcher set.
type (
	ruleBody struct {
		Symbol chokepoint.Symbol `json:"symbol"`
		Text   string            `json:"text"`
		Made   time.Time         `json:"made,omitzero"`
	}
	ruleState struct {
		State   []byte    `json:"state,omitempty"`
		Fired   time.Time `json:"fired,omitzero"`
		Firings int       `json:"firings,omitempty"`
		Done    bool      `json:"done,omitempty"`
	}
)

const identityLen = 20

// identity stands for what makes a rule the same rule: its symbol and text.
func identity(r chokepoint.Rule) string {
	return chokepoint.ShortHash(identityLen, string(r.Symbol), r.Text)
}

// splitRule is a rule as its two parts' JSON.
func splitRule(r chokepoint.Rule) (body, state []byte, err error) {
	body, err = json.Marshal(ruleBody{r.Symbol, r.Text, r.Made})
	if err == nil {
		state, err = json.Marshal(ruleState{r.State, r.Fired, r.Firings, r.Done})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("rule %s of %s: %w", r.ID, r.Chat, err)
	}
	return body, state, nil
}

// joinRule makes a rule of a field of rules and what is under it in both
// hashes.
func joinRule(field, body, state string) (chokepoint.Rule, error) {
	chat, id, err := unsize(field)
	if err != nil {
		return chokepoint.Rule{}, err
	}
	if len(body) < identityLen {
		return chokepoint.Rule{}, damaged("a rule", errors.New("it is too short"))
	}
	b, err := decode[ruleBody](body[identityLen:], "a rule")
	if err != nil {
		return chokepoint.Rule{}, err
	}
	st, err := decode[ruleState](state, "a rule's state")
	return chokepoint.Rule{
		Chat: chatID(chat), ID: id, Symbol: b.Symbol, Text: b.Text, Made: b.Made,
		State: st.State, Fired: st.Fired, Firings: st.Firings, Done: st.Done,
	}, err
}

// allRules reads every rule, if the version that is known is not the present
// one.
//
//	ARGV    the version that is known
//	touches nothing; reads counters, rules, rules:state
//	returns {version, and of each rule its field and both parts}
var allRules = coreScript(`
local version = tonumber(call('HGET', counters, 'rules') or 0) + 1
local out = { version }
if version == number() then return out end
local fields = call('HKEYS', rules)
local bodies, states = some(rules, fields), some(rules_state, fields)
for i, field in ipairs(fields) do
  out[#out + 1] = field
  out[#out + 1] = bodies[i]
  out[#out + 1] = states[i]
end
return out
`)

// rulesOf reads the rules of a chat.
//
//	ARGV    chat
//	touches nothing; reads rules, rules:state, rules:index
//	returns {of each rule its field and both parts}
var rulesOf = coreScript(`
local out, mine = {}, sized(take())
local fields = call('ZRANGEBYLEX', rules_index, '[' .. mine, '(' .. mine .. '\255')
local bodies, states = some(rules, fields), some(rules_state, fields)
for i, field in ipairs(fields) do
  out[#out + 1] = field
  out[#out + 1] = bodies[i]
  out[#out + 1] = states[i]
end
return out
`)

// putRule writes one rule, both parts.
//
//	ARGV    by, chat, ID, identity and body, state
//	touches rules, rules:state, rules:index, counters
//	returns {what happened}
var putRule = coreScript(`
local by, field = take(), sized(take()) .. take()
call('HSET', rules, field, take())
call('HSET', rules_state, field, take())
call('ZADD', rules_index, 0, field)
call('HINCRBY', counters, 'rules', 1)
return { tell(by, Changed) }
`)

// deleteRule drops one rule.
//
//	ARGV    by, chat, ID
//	touches rules, rules:state, rules:index, counters
//	returns {what happened}, or {} if it is not there
var deleteRule = coreScript(`
local by, field = take(), sized(take()) .. take()
if call('HDEL', rules, field) == 0 then return {} end
call('HDEL', rules_state, field)
call('ZREM', rules_index, field)
call('HINCRBY', counters, 'rules', 1)
return { tell(by, Changed) }
`)

// setRules makes a chat's rules those given; the state of one that is there
// under the same identity stays.
//
//	ARGV    by, chat, how many, and of each: ID, identity, body, state
//	touches rules, rules:state, rules:index, counters
//	returns {what happened}; nothing, if they are there already
var setRules = coreScript(`
local by, mine = take(), sized(take())
local changed, wanted = false, {}
for _ = 1, number() do
  local field = mine .. take()
  local identity, body, state = take(), take(), take()
  wanted[field] = true
  local old = call('HGET', rules, field)
  if old ~= identity .. body then
    changed = true
    call('HSET', rules, field, identity .. body)
    call('ZADD', rules_index, 0, field)
  end
  if not old or old:sub(1, #identity) ~= identity then call('HSET', rules_state, field, state) end
end
for _, field in ipairs(call('ZRANGEBYLEX', rules_index, '[' .. mine, '(' .. mine .. '\255')) do
  if not wanted[field] then
    changed = true
    call('HDEL', rules, field)
    call('HDEL', rules_state, field)
    call('ZREM', rules_index, field)
  end
end
if changed then call('HINCRBY', counters, 'rules', 1) end
return { tell(by, changed and Changed or 0) }
`)

// readRules reads what allRules and rulesOf return.
func readRules(r *reply) ([]chokepoint.Rule, error) {
	rules := []chokepoint.Rule{}
	for len(r.list) > 0 {
		field, body, state := r.text(), r.text(), r.text()
		if r.err != nil {
			return nil, r.err
		}
		rule, err := joinRule(field, body, state)
		if err != nil {
			return nil, err
		}
		rules = append(rules, rule)
	}
	return rules, r.err
}

// AllRules is every rule that is not done.
func (s *Store) AllRules(ctx context.Context, known int64) (rules []chokepoint.Rule, version int64, err error) {
	err = s.with(ctx, func() error {
		r, err := s.run(ctx, allRules, args{known})
		if err != nil {
			return err
		}
		if version = r.int(); version == known {
			return r.err
		}
		rules, err = readRules(r)
		return err
	})
	if err != nil {
		return nil, 0, wrap(err, "reading all rules")
	}
	rules = slices.DeleteFunc(rules, func(r chokepoint.Rule) bool { return r.Done })
	slices.SortFunc(rules, func(a, b chokepoint.Rule) int {
		return cmp.Or(compareChats(a.Chat, b.Chat), cmp.Compare(a.ID, b.ID))
	})
	return rules, version, nil
}

func compareChats(a, b chokepoint.ChatID) int {
	return cmp.Or(cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.ID, b.ID))
}

// SetRules makes the configuration's rules those given.
func (s *Store) SetRules(ctx context.Context, rules []chokepoint.Rule) error {
	return wrap(s.change(ctx, setRules, func(a *args) error {
		// One that is given twice counts once, as it was given last.
		byID := map[string]chokepoint.Rule{}
		for _, r := range rules {
			byID[r.ID] = r
		}
		a.add(chokepoint.ChatID{}.String(), len(byID))
		for _, id := range slices.Sorted(maps.Keys(byID)) {
			body, state, err := splitRule(byID[id])
			if err != nil {
				return err
			}
			a.add(id, identity(byID[id]), body, state)
		}
		return nil
	}), "setting the configuration's rules")
}

// Rules are a chat's.
func (s *Store) Rules(ctx context.Context, id chokepoint.ChatID) (rules []chokepoint.Rule, err error) {
	err = s.with(ctx, func() error {
		r, err := s.run(ctx, rulesOf, args{id.String()})
		if err != nil {
			return err
		}
		rules, err = readRules(r)
		return err
	})
	slices.SortFunc(rules, func(a, b chokepoint.Rule) int {
		return cmp.Or(a.Made.Compare(b.Made), cmp.Compare(a.ID, b.ID))
	})
	return rules, wrap(err, "reading the rules of %s", id)
}

// PutRule writes a rule.
func (s *Store) PutRule(ctx context.Context, r chokepoint.Rule) error {
	return wrap(s.change(ctx, putRule, func(a *args) error {
		body, state, err := splitRule(r)
		a.add(r.Chat.String(), r.ID, identity(r)+string(body), state)
		return err
	}), "putting the rule %s of %s", r.ID, r.Chat)
}

// DeleteRule drops a rule.
func (s *Store) DeleteRule(ctx context.Context, id chokepoint.ChatID, rule string) error {
	return wrap(s.change(ctx, deleteRule, func(a *args) error {
		a.add(id.String(), rule)
		return nil
	}), "deleting the rule %s of %s", rule, id)
}

// change runs a script of the core whose first argument is by and which
// returns {what happened}, or {} for chokepoint.ErrNotFound. fill adds the
// other arguments.
func (s *Store) change(ctx context.Context, script *redis.Script, fill func(*args) error) error {
	return s.with(ctx, func() error {
		a := args{s.wake.name}
		if err := fill(&a); err != nil {
			return err
		}
		r, err := s.run(ctx, script, a)
		if err != nil {
			return err
		}
		if len(r.list) == 0 {
			return chokepoint.ErrNotFound
		}
		s.wake.tell(r.int())
		return r.err
	})
}
