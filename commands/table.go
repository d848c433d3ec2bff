package commands

import "github.com/chokepoint-bot/chokepoint/bot"

// A command is one row of the table.
type command struct {
	name    string
	aliases []string // other names, folded to half width and lower case
	params  []param
	admin   bool // with arguments it changes the chat's settings
	always  bool // … and without arguments too
	ops     bool // for chats that follow the operators' news
	run     func(*request) (bot.Answer, error)
}

// A param is an argument of a command, worded by the catalog's
// "commands.param.<as, or name>".
type param struct {
	name     string
	as       string
	required bool
	choices  []string
	topics   bool // the choices are the topics
}

func (p param) word() string {
	if p.as != "" {
		return p.as
	}
	return p.name
}

// table is every command, in the order of /help.
func table() []command {
	symbol := param{name: "symbol", required: true}
	alert := param{name: "alert", required: true}
	topic := param{name: "topic", topics: true}
	return []command{
		{name: "status", aliases: words("状态 狀態 概况 总览"), params: []param{{name: "about"}}, run: (*request).status},
		{name: "risks", aliases: words("risk 风险 風險"), params: []param{{name: "risk"}}, run: (*request).risks},
		{name: "lta", aliases: words("agreements 协议 長約 长约 长协"), run: (*request).agreements},
		{name: "price", aliases: words("prices quote 价格 價格 股价 报价"), params: []param{{name: "symbols"}}, run: (*request).price},
		{name: "chart", aliases: words("图表 圖表 图 走势 k线"), params: []param{symbol, {name: "span", choices: []string{"5d", "1mo", "3mo", "6mo", "1y"}}}, run: (*request).chart},

		{name: "alert", aliases: words("提醒 预警 警报"), params: []param{symbol, {name: "condition", required: true}}, admin: true, always: true, run: (*request).alert},
		{name: "rules", aliases: words("规则 規則"), run: (*request).rules},
		{name: "unalert", aliases: words("取消提醒 删除规则"), params: []param{{name: "rule", required: true}}, admin: true, always: true, run: (*request).unalert},

		{name: "alerts", aliases: words("timeline 历史 歷史 记录"), params: []param{topic}, run: (*request).alerts},
		{name: "why", aliases: words("为什么 為什麼 为何 原因"), params: []param{alert}, run: (*request).why},
		{name: "discuss", aliases: words("讨论 討論"), params: []param{{name: "story", required: true}}, run: (*request).discuss},
		{name: "useful", aliases: words("有用"), params: []param{alert}, run: (*request).useful},
		{name: "noise", aliases: words("噪音 没用"), params: []param{alert}, run: (*request).noise},

		{name: "follow", aliases: words("subscribe 关注 關注 订阅"), params: []param{{name: "topics", topics: true}}, admin: true, run: (*request).follow},
		{name: "unfollow", aliases: words("unsubscribe 取消关注 取关 退订"), params: []param{{name: "topics", topics: true}}, admin: true, always: true, run: (*request).unfollow},
		{name: "mute", aliases: words("静音 靜音 免打扰"), params: []param{{name: "time", as: "mute"}}, admin: true, run: (*request).mute},
		{name: "quiet", aliases: words("安静 安靜 静默时段"), params: []param{{name: "hours"}}, admin: true, run: (*request).quiet},
		{name: "lang", aliases: words("language 语言 語言"), params: []param{{name: "language", choices: []string{"en", "zh"}}}, admin: true, run: (*request).language},
		{name: "tz", aliases: words("timezone 时区 時區"), params: []param{{name: "zone"}}, admin: true, run: (*request).timezone},
		{name: "settings", aliases: words("设置 設定 设定"), run: (*request).settings},

		{name: "health", aliases: words("健康 健康状况"), run: (*request).health},
		{name: "help", aliases: words("start 帮助 幫助 ?"), params: []param{{name: "command"}}, run: (*request).help},

		{name: "dead", aliases: words("死信"), ops: true, run: (*request).dead},
		{name: "requeue", aliases: words("重发"), params: []param{{name: "delivery", required: true}}, admin: true, always: true, ops: true, run: (*request).requeue},
		{name: "outbox", aliases: words("发件箱"), ops: true, run: (*request).outbox},
	}
}
