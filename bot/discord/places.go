package discord

import (
	"context"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
)

const (
	placesKept    = 2048
	channelsKept  = 10 * time.Minute // how long a channel's name and parent are believed
	rightsKept    = time.Minute      // how long a person's rights are believed
	askAboutPlace = 3 * time.Second
)

// Channel types that are threads.
// https://discord.com/developers/docs/resources/channel#channel-object-channel-types
const (
	announcementThread = 10
	publicThread       = 11
	privateThread      = 12
)

// channelInfo is what is read of a channel.
type channelInfo struct {
	ID     string `json:"id"`
	Type   int    `json:"type"`
	Name   string `json:"name"`
	Parent string `json:"parent_id"`
}

func (c channelInfo) thread() bool {
	return c.Type == announcementThread || c.Type == publicThread || c.Type == privateThread
}

// places remembers for a while what channels are, and who may manage a guild:
// mentions come without either.
type places struct {
	now func() time.Time

	mu       sync.Mutex
	channels map[string]dated[channelInfo]
	rights   map[string]dated[bool] // by guild and user
}

type dated[T any] struct {
	value T
	until time.Time
}

func newPlaces(now func() time.Time) *places {
	return &places{now: now, channels: map[string]dated[channelInfo]{}, rights: map[string]dated[bool]{}}
}

// remember keeps v, and makes room if it must.
func remember[T any](m map[string]dated[T], key string, v T, now time.Time, keep time.Duration) {
	if len(m) >= placesKept {
		maps.DeleteFunc(m, func(_ string, d dated[T]) bool { return !now.Before(d.until) })
		for k := range m {
			if len(m) < placesKept {
				break
			}
			delete(m, k)
		}
	}
	m[key] = dated[T]{v, now.Add(keep)}
}

func (p *places) channel(ctx context.Context, a *Adapter, id string) (channelInfo, *bot.SendError) {
	p.mu.Lock()
	have, ok := p.channels[id]
	p.mu.Unlock()
	if ok && p.now().Before(have.until) {
		return have.value, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askAboutPlace)
	defer cancel()
	var c channelInfo
	if failed := a.do(ctx, request{method: "GET", route: "/channels/-", top: id, path: "/channels/" + id}, &c); failed != nil {
		return channelInfo{}, failed
	}
	p.learn(c)
	return c, nil
}

func (p *places) learn(c channelInfo) {
	p.mu.Lock()
	defer p.mu.Unlock()
	remember(p.channels, c.ID, c, p.now(), channelsKept)
}

// place is where in a chat something was said.
type place struct{ chat, thread, title string }

// place says which chat a channel is, and whether it is a thread of one. If
// Discord cannot be asked it is taken for a chat of its own.
func (p *places) place(ctx context.Context, a *Adapter, id string, known *channelInfo) place {
	var c channelInfo
	if known != nil && known.ID == id {
		c = *known
		p.learn(c)
	} else {
		var failed *bot.SendError
		if c, failed = p.channel(ctx, a, id); failed != nil {
			a.log.Warn("a channel could not be looked up", "channel", id, "err", failed)
			return place{chat: id}
		}
	}
	if !c.thread() || c.Parent == "" {
		return place{chat: id, title: c.Name}
	}
	parent, failed := p.channel(ctx, a, c.Parent)
	if failed != nil {
		a.log.Debug("a thread's channel could not be looked up", "channel", c.Parent, "err", failed)
	}
	return place{chat: c.Parent, thread: id, title: parent.Name}
}

// admin asks whether a person may manage a guild: its owner, and whoever has a
// role with MANAGE_GUILD or ADMINISTRATOR. Believed for a minute.
func (p *places) admin(ctx context.Context, a *Adapter, guild, user string) (bool, error) {
	key := guild + " " + user
	p.mu.Lock()
	have, ok := p.rights[key]
	p.mu.Unlock()
	if ok && p.now().Before(have.until) {
		return have.value, nil
	}
	var g struct {
		Owner string `json:"owner_id"`
		Roles []struct {
			ID          string `json:"id"`
			Permissions string `json:"permissions"`
		} `json:"roles"`
	}
	if failed := a.do(ctx, request{method: "GET", route: "/guilds/-", top: guild, path: "/guilds/" + guild}, &g); failed != nil {
		return false, fmt.Errorf("discord: asking for the roles of guild %s: %w", guild, failed)
	}
	var m struct {
		Roles []string `json:"roles"`
	}
	if failed := a.do(ctx, request{method: "GET", route: "/guilds/-/members/-", top: guild, path: "/guilds/" + guild + "/members/" + user}, &m); failed != nil {
		return false, fmt.Errorf("discord: asking for member %s of guild %s: %w", user, guild, failed)
	}
	may := g.Owner == user
	for _, role := range g.Roles {
		bits, err := strconv.ParseUint(role.Permissions, 10, 64)
		if err != nil {
			return false, fmt.Errorf("discord: permissions of role %s: %w", role.ID, err)
		}
		// The role with the guild's own ID is everyone's.
		has := role.ID == guild
		for _, r := range m.Roles {
			has = has || r == role.ID
		}
		may = may || has && bits&(administrator|manageGuild) != 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	remember(p.rights, key, may, p.now(), rightsKept)
	return may, nil
}
