package commands

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
)

const (
	maxMute         = 30 * 24 * time.Hour
	storyMute       = 30 * 24 * time.Hour
	maxMutedStories = 100
)

// topic finds a topic by its name.
func (r *request) topic(s string) (chokepoint.Topic, error) {
	s = strings.ToLower(strings.Trim(s, ",;"))
	var names []string
	for _, t := range r.Topics {
		if string(t.Name) == s {
			return t.Name, nil
		}
		names = append(names, string(t.Name))
	}
	if s == string(chokepoint.TopicOps) {
		return chokepoint.TopicOps, nil
	}
	if near := nearest(s, names); near != "" {
		return "", mistake("topic-near", i18n.Args{"Word": clip(s, 40), "Near": "/" + r.cmd.name + " " + near})
	}
	return "", mistake("topic", i18n.Args{"Word": clip(s, 40), "Known": strings.Join(names, ", ")})
}

// askedTopics are the topics among the arguments; "all" is every watcher's.
// Operators' news cannot be asked for: the configuration gives it.
func (r *request) askedTopics() ([]chokepoint.Topic, error) {
	var asked []chokepoint.Topic
	for _, a := range r.args[:min(len(r.args), 50)] {
		if all := strings.ToLower(a); all == "all" || all == "全部" || all == "所有" {
			for _, t := range r.Topics {
				asked = append(asked, t.Name)
			}
			continue
		}
		t, err := r.topic(a)
		if err != nil {
			return nil, err
		}
		if t == chokepoint.TopicOps {
			return nil, mistake("follow-ops")
		}
		asked = append(asked, t)
	}
	return asked, nil
}

// follow adds topics, or says which there are.
func (r *request) follow() (bot.Answer, error) {
	if len(r.args) == 0 {
		return said(r.topicList(r.t("commands.follow.title")))
	}
	asked, err := r.askedTopics()
	if err != nil {
		return bot.Answer{}, err
	}
	err = r.changeChat(func(c *chokepoint.Chat) {
		c.Topics = append(slices.Clone(c.Topics), asked...)
		slices.Sort(c.Topics)
		c.Topics = slices.Compact(c.Topics)
		c.Gone = "" // it is there: it speaks
	})
	if err != nil {
		return bot.Answer{}, err
	}
	m := r.topicList(r.t("commands.follow.done"))
	m.Tone = bot.Good
	return said(m)
}

// unfollow takes topics away; without arguments it lists them.
func (r *request) unfollow() (bot.Answer, error) {
	if len(r.args) == 0 {
		return bot.Answer{}, misuse("unfollow-what")
	}
	asked, err := r.askedTopics()
	if err != nil {
		return bot.Answer{}, err
	}
	err = r.changeChat(func(c *chokepoint.Chat) {
		c.Topics = slices.DeleteFunc(slices.Clone(c.Topics), func(t chokepoint.Topic) bool { return slices.Contains(asked, t) })
	})
	if err != nil {
		return bot.Answer{}, err
	}
	return said(r.topicList(r.t("commands.unfollow.done")))
}

func (r *request) topicList(title string) bot.Message {
	m := bot.Message{Title: title}
	for _, t := range r.Topics {
		mark := "○"
		if r.chat.Follows(t.Name) {
			mark = "●"
		}
		text := string(t.Name)
		if key := "commands.topic." + t.Kind; r.Words.Has(key) {
			text = r.t(key)
		}
		m.Lines = append(m.Lines, bot.Labelled(mark+" "+string(t.Name), text))
		if !r.chat.Follows(t.Name) && len(m.Actions) < 5 && len(t.Name) < 40 {
			m.Actions = append(m.Actions, bot.Action{Label: "+ " + clip(string(t.Name), 36), Command: "/follow " + string(t.Name)})
		}
	}
	if r.chat.Follows(chokepoint.TopicOps) {
		m.Lines = append(m.Lines, bot.Labelled("● "+string(chokepoint.TopicOps), r.t("commands.topic.ops")))
	}
	return m
}

var muteForm = regexp.MustCompile(`^(\d{1,4})(m|min|分钟|h|hours?|小时|d|days?|天|w|周)$`)

// muteTime reads how long to be silent.
func muteTime(s string) (time.Duration, bool) {
	m := muteForm.FindStringSubmatch(strings.ToLower(s))
	if m == nil {
		return 0, false
	}
	n, _ := strconv.Atoi(m[1])
	unit := time.Minute
	switch {
	case strings.HasPrefix(m[2], "h"), m[2] == "小时":
		unit = time.Hour
	case strings.HasPrefix(m[2], "d"), m[2] == "天":
		unit = 24 * time.Hour
	case m[2] == "w", m[2] == "周":
		unit = 7 * 24 * time.Hour
	}
	d := time.Duration(n) * unit
	return d, d >= time.Minute && d <= maxMute
}

// off says whether a word switches something off.
func off(s string) bool {
	switch strings.ToLower(s) {
	case "off", "none", "no", "关", "关闭", "取消", "无":
		return true
	}
	return false
}

// mute holds deliveries back for a time, or one story's for good.
func (r *request) mute() (bot.Answer, error) {
	if len(r.args) == 0 {
		return said(bot.Message{Lines: append([]bot.Line{bot.Text(r.muted())}, r.usage(r.cmd)...)})
	}
	if w := strings.ToLower(r.args[0]); w == "story" || w == "此事" || w == "事件" {
		return r.muteStory()
	}
	until := time.Time{}
	if !off(r.args[0]) {
		d, ok := muteTime(strings.Join(r.args, ""))
		if !ok {
			return bot.Answer{}, misuse("mute-time", i18n.Args{"Word": clip(r.rest, 40)})
		}
		until = r.now.Add(d)
	}
	err := r.changeChat(func(c *chokepoint.Chat) {
		c.Muted = until
		if until.IsZero() {
			c.MutedStories = nil
		}
	})
	if err != nil {
		return bot.Answer{}, err
	}
	return said(bot.Message{Tone: bot.Good, Lines: []bot.Line{bot.Text(r.muted())}})
}

func (r *request) muteStory() (bot.Answer, error) {
	if len(r.args) < 2 {
		return bot.Answer{}, misuse("arguments")
	}
	a, err := r.find(r.args[1])
	if err != nil {
		return bot.Answer{}, err
	}
	err = r.changeChat(func(c *chokepoint.Chat) {
		muted := map[chokepoint.StoryID]time.Time{a.Story: r.now.Add(storyMute)}
		for s, until := range c.MutedStories {
			if until.After(r.now) && s != a.Story {
				muted[s] = until
			}
		}
		for len(muted) > maxMutedStories { // the one that ends first
			stories := slices.SortedFunc(maps.Keys(muted), func(x, y chokepoint.StoryID) int {
				if d := muted[x].Compare(muted[y]); d != 0 {
					return d
				}
				return strings.Compare(string(x), string(y))
			})
			delete(muted, stories[0])
		}
		c.MutedStories = muted
	})
	if err != nil {
		return bot.Answer{}, err
	}
	return said(bot.Message{Tone: bot.Good, Lines: []bot.Line{bot.Text(r.t("commands.mute.story", i18n.Args{
		"Headline": clip(r.Render.Headline(&a, r.lang), 160), "Until": r.date(r.now.Add(storyMute)),
	}))}})
}

func (r *request) muted() string {
	if !r.chat.Muted.After(r.now) {
		return r.t("commands.mute.off")
	}
	return r.t("commands.mute.until", i18n.Args{"Until": r.clock(r.chat.Muted), "Span": r.span(r.chat.Muted.Sub(r.now))})
}

var quietForm = regexp.MustCompile(`^(\d{1,2})(?::(\d{2}))?(?:-|–|~|到|至|to)(\d{1,2})(?::(\d{2}))?$`)

// quiet sets the daily hours in which only what is urgent is delivered.
func (r *request) quiet() (bot.Answer, error) {
	if len(r.args) == 0 {
		return said(bot.Message{Lines: append([]bot.Line{bot.Text(r.quietHours())}, r.usage(r.cmd)...)})
	}
	var hours chokepoint.QuietHours
	if !off(r.args[0]) {
		m := quietForm.FindStringSubmatch(strings.ToLower(strings.Join(r.args, "")))
		if m == nil {
			return bot.Answer{}, misuse("quiet-hours", i18n.Args{"Word": clip(r.rest, 40)})
		}
		var ok1, ok2 bool
		hours.From, ok1 = minuteOf(m[1], m[2])
		hours.To, ok2 = minuteOf(m[3], m[4])
		if !ok1 || !ok2 || hours.From == hours.To {
			return bot.Answer{}, misuse("quiet-hours", i18n.Args{"Word": clip(r.rest, 40)})
		}
	}
	if err := r.changeChat(func(c *chokepoint.Chat) { c.Quiet = hours }); err != nil {
		return bot.Answer{}, err
	}
	return said(bot.Message{Tone: bot.Good, Lines: []bot.Line{bot.Text(r.quietHours())}})
}

// minuteOf is a time of day in minutes; 24:00 is midnight.
func minuteOf(hour, minute string) (int, bool) {
	h, _ := strconv.Atoi(hour)
	m, _ := strconv.Atoi(minute)
	n := h*60 + m
	return n % (24 * 60), m < 60 && n <= 24*60
}

func (r *request) quietHours() string {
	q := r.chat.Quiet
	if q.From == q.To {
		return r.t("commands.quiet.off")
	}
	return r.t("commands.quiet.on", i18n.Args{"From": hhmm(q.From), "To": hhmm(q.To), "Zone": r.zone.String()})
}

func hhmm(minutes int) string {
	return time.Date(2000, 1, 1, 0, minutes, 0, 0, time.UTC).Format("15:04")
}

// language sets the chat's language.
func (r *request) language() (bot.Answer, error) {
	if len(r.args) > 0 {
		lang, ok := i18n.Match(r.args[0])
		if !ok {
			return bot.Answer{}, misuse("language", i18n.Args{"Word": clip(r.args[0], 20)})
		}
		if err := r.changeChat(func(c *chokepoint.Chat) { c.Language = lang }); err != nil {
			return bot.Answer{}, err
		}
	}
	m := bot.Message{Lines: []bot.Line{bot.Text(r.t("commands.lang.is", i18n.Args{"Name": r.t("lang.name")}))}}
	for _, l := range i18n.Languages {
		if l != r.lang {
			m.Actions = append(m.Actions, bot.Action{Label: r.Words.T(l, "lang.name"), Command: "/lang " + string(l)})
		}
	}
	return said(m)
}

// places are names that people give zones.
var places = map[string]string{
	"et": "America/New_York", "est": "America/New_York", "edt": "America/New_York", "ny": "America/New_York", "new york": "America/New_York", "newyork": "America/New_York", "纽约": "America/New_York", "美东": "America/New_York",
	"ct": "America/Chicago", "chicago": "America/Chicago", "houston": "America/Chicago", "芝加哥": "America/Chicago", "休斯敦": "America/Chicago",
	"pt": "America/Los_Angeles", "pst": "America/Los_Angeles", "los angeles": "America/Los_Angeles", "洛杉矶": "America/Los_Angeles", "美西": "America/Los_Angeles",
	"beijing": "Asia/Shanghai", "shanghai": "Asia/Shanghai", "shenzhen": "Asia/Shanghai", "china": "Asia/Shanghai", "北京": "Asia/Shanghai", "上海": "Asia/Shanghai", "深圳": "Asia/Shanghai", "中国": "Asia/Shanghai",
	"taipei": "Asia/Taipei", "taiwan": "Asia/Taipei", "台北": "Asia/Taipei", "台湾": "Asia/Taipei", "hong kong": "Asia/Hong_Kong", "hk": "Asia/Hong_Kong", "香港": "Asia/Hong_Kong",
	"tokyo": "Asia/Tokyo", "jst": "Asia/Tokyo", "东京": "Asia/Tokyo", "singapore": "Asia/Singapore", "新加坡": "Asia/Singapore",
	"stockholm": "Europe/Stockholm", "斯德哥尔摩": "Europe/Stockholm", "london": "Europe/London", "伦敦": "Europe/London", "berlin": "Europe/Berlin", "utc": "UTC", "gmt": "UTC",
}

// timezone sets the zone of shown times and quiet hours.
func (r *request) timezone() (bot.Answer, error) {
	if len(r.args) > 0 {
		name, ok := places[strings.ToLower(r.rest)]
		if !ok {
			name = strings.ReplaceAll(r.rest, " ", "_")
		}
		// "Local" and "" are zones to the library and none to people.
		if _, err := time.LoadLocation(name); err != nil || len(name) > 40 || strings.EqualFold(name, "local") {
			known := slices.Sorted(maps.Keys(places))
			if near := nearest(r.rest, known); near != "" {
				return bot.Answer{}, mistake("zone-near", i18n.Args{"Word": clip(r.rest, 40), "Near": "/tz " + places[near]})
			}
			return bot.Answer{}, misuse("zone", i18n.Args{"Word": clip(r.rest, 40)})
		}
		if err := r.changeChat(func(c *chokepoint.Chat) { c.Zone = name }); err != nil {
			return bot.Answer{}, err
		}
	}
	return said(bot.Message{Lines: []bot.Line{bot.Text(r.t("commands.tz.is", i18n.Args{"Zone": r.zone.String(), "Now": r.clock(r.now)}))}})
}

// settings is what this chat gets, and when.
func (r *request) settings() (bot.Answer, error) {
	m := bot.Message{Title: r.t("commands.settings.title")}
	topics := r.t("commands.settings.none")
	if len(r.chat.Topics) > 0 {
		var names []string
		for _, t := range r.chat.Topics {
			names = append(names, string(t))
		}
		topics = strings.Join(names, ", ")
	}
	rules, err := r.Desk.Rules(r.ctx, r.chat.ID)
	if err != nil {
		return bot.Answer{}, err
	}
	live := len(slices.DeleteFunc(rules, func(rule chokepoint.Rule) bool { return rule.Done }))
	m.Lines = []bot.Line{
		bot.Labelled(r.t("commands.settings.chat"), r.chat.ID.String()),
		bot.Labelled(r.t("commands.settings.topics"), topics),
		bot.Labelled(r.t("commands.settings.rules"), r.t("commands.settings.rule-count", i18n.Args{"Count": live})),
		bot.Labelled(r.t("commands.settings.quiet"), r.quietHours()),
		bot.Labelled(r.t("commands.settings.mute"), r.muted()),
		bot.Labelled(r.t("commands.settings.language"), r.t("lang.name")),
		bot.Labelled(r.t("commands.settings.zone"), r.zone.String()+" · "+r.clock(r.now)),
	}
	stories := 0
	for _, until := range r.chat.MutedStories {
		if until.After(r.now) {
			stories++
		}
	}
	if stories > 0 {
		m.Lines = append(m.Lines, bot.Labelled(r.t("commands.settings.stories"), strconv.Itoa(stories)))
	}
	r.followHint(&m)
	return said(m)
}

// help is every command, or one in full.
func (r *request) help() (bot.Answer, error) {
	if len(r.args) > 0 {
		word := strings.TrimPrefix(strings.ToLower(r.args[0]), "/")
		c := r.byWord[word]
		if c == nil {
			if near := r.nearestCommand(word); near != "" {
				return bot.Answer{}, &UserError{Key: "commands.err.unknown-near", Args: i18n.Args{"Word": clip(r.args[0], 40), "Near": "/help " + near}}
			}
			return bot.Answer{}, mistake("unknown", i18n.Args{"Word": clip(r.args[0], 40)})
		}
		m := bot.Message{Title: "/" + c.name, Lines: []bot.Line{bot.Text(r.t("commands." + c.name + ".help"))}}
		m.Lines = append(m.Lines, r.usage(c)...)
		for _, p := range c.params {
			m.Lines = append(m.Lines, bot.Labelled(r.t("commands.name."+p.word()), r.t("commands.param."+p.word())))
		}
		if c.name == "alert" {
			m.Lines = append(m.Lines, bot.Line{})
			for line := range strings.Lines(r.t("commands.alert.language")) {
				m.Lines = append(m.Lines, bot.Text(strings.TrimSpace(line)))
			}
		}
		if c.admin {
			m.Footer = r.t("commands.help.admin")
		}
		return said(m)
	}
	m := bot.Message{Title: r.t("commands.help.title", i18n.Args{"Thesis": r.Thesis.Title.In(r.lang)}), Footer: r.t("commands.help.footer")}
	if claim := r.Thesis.Claim.In(r.lang); claim != "" {
		m.Lines = append(m.Lines, bot.Text(clip(claim, 400)), bot.Line{})
	}
	for _, c := range r.commands {
		if !c.ops || r.chat.Follows(chokepoint.TopicOps) {
			m.Lines = append(m.Lines, bot.Labelled("/"+c.name, r.t("commands."+c.name+".help")))
		}
	}
	r.followHint(&m)
	return said(m)
}
