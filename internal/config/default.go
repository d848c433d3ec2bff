package config

import (
	"time"

	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
)

// Default is the configuration of an empty file: the built-in thesis, public
// sources, an embedded store, and the console.
func Default() Config {
	minute := Duration(time.Minute)
	second := Duration(time.Second)
	return Config{
		Language: chokepoint.English,
		Timezone: "America/New_York",
		Log:      Log{Level: "info", Format: "auto"},
		Store:    Store{URL: "sqlite:chokepoint.db", Keep: Duration(400 * 24 * time.Hour), KeepQuotes: Duration(35 * 24 * time.Hour)},
		HTTP: HTTP{
			Listen:  "127.0.0.1:8080",
			Timeout: 30 * second,
			UserAgents: map[string]string{
				// SEC wants a product and an e-mail address, without parentheses.
				// https://www.sec.gov/os/accessing-edgar-data
				"sec.gov":             "chokepoint/{version} {contact}",
				"finance.yahoo.com":   "Mozilla/5.0 (compatible; chokepoint/{version})",
				"api.nasdaq.com":      "Mozilla/5.0 (compatible; chokepoint/{version})",
				"fred.stlouisfed.org": "chokepoint/{version} (+{homepage})",
				"default":             "chokepoint/{version} (+{homepage}; {contact})",
			},
		},
		Console:  Console{Enabled: "auto"},
		Discord:  Platform{Token: "${DISCORD_TOKEN:-}", APIURL: "https://discord.com/api/v10"},
		Telegram: Platform{Token: "${TELEGRAM_TOKEN:-}", APIURL: "https://api.telegram.org"},
		Thesis:   "builtin:cw-laser",
		Sources: map[string]Source{
			"sec": {
				Kind: "edgar", Enabled: true, Cron: "*/2 6-22 * * 1-5", TZ: "America/New_York", Jitter: 20 * second, Timeout: 2 * minute,
				CIKs: map[chokepoint.Symbol]string{
					"AAOI": "0001158114", "LITE": "0001633978", "COHR": "0000820318", "MTSI": "0001493594",
					"NVDA": "0001045810", "AMD": "0000002488", "AXTI": "0001051627",
				},
				Forms:   []string{"8-K", "6-K", "10-Q", "10-K", "S-3", "S-3ASR", "424B5", "424B2", "424B3"},
				BaseURL: "https://data.sec.gov", ArchiveURL: "https://www.sec.gov",
			},
			"ir-aaoi":  feed("*/10 * * * *", "Applied Optoelectronics", true, "https://investors.ao-inc.com/rss/news-releases.xml"),
			"ir-macom": feed("3-59/10 * * * *", "MACOM", true, "https://ir.macom.com/rss/news-releases.xml"),
			"ir-amd":   feed("6-59/10 * * * *", "AMD", true, "https://ir.amd.com/rss/news-releases.xml"),
			"trendforce": feed("*/20 * * * *", "TrendForce", false,
				"https://www.trendforce.com/news/feed/",
				"https://www.trendforce.com/feed/Semiconductors.html",
				"https://www.trendforce.com/feed/Communication.html"),
			"digitimes": feed("11,41 * * * *", "DIGITIMES", false, "https://www.digitimes.com/rss/daily.xml"),
			"thelec":    feed("17,47 * * * *", "The Elec", false, "https://www.thelec.kr/rss/allArticle.xml"),
			"yahoo-news": feed("*/15 * * * *", "", false,
				"https://feeds.finance.yahoo.com/rss/2.0/headline?s=AAOI&region=US&lang=en-US",
				"https://feeds.finance.yahoo.com/rss/2.0/headline?s=LITE&region=US&lang=en-US",
				"https://feeds.finance.yahoo.com/rss/2.0/headline?s=COHR&region=US&lang=en-US"),
			"governor-tx": feed("20 * * * *", "Office of the Texas Governor", true, "https://gov.texas.gov/news/rss"),
			"texreg":      feed("35 8,14 * * *", "Texas Register", true, "https://www.sos.state.tx.us/texreg/texreg.xml"),
			"tceq": {
				Kind: "permits", Enabled: true, Cron: "5 7,15 * * 1-5", TZ: "America/Chicago", Jitter: 5 * minute, Timeout: 2 * minute,
				Lists: map[string]string{
					"nsr":    "https://www.tceq.texas.gov/assets/public/permitting/air/reports/applications/nsr-pending-permits.html",
					"titlev": "https://www.tceq.texas.gov/assets/public/permitting/air/reports/applications/titlev-pending-permits.html",
					"notice": "https://www.tceq.texas.gov/assets/public/permitting/air/Title_V/announcements/pnwebrpt.htm",
				},
				Match: []string{"APPLIED OPTOELECTRONICS", "AOI SUGAR LAND"},
			},
			"quotes": {
				Kind: "quotes", Enabled: true, Cron: "*/5 * * * *", Jitter: 10 * second, Timeout: minute, OnlyInSession: true,
				Symbols: []chokepoint.Symbol{"AAOI", "LITE", "COHR", "MTSI", "NVDA", "AMD", "AXTI", "SIVE.ST", "4979.TWO", "5802.T", "5801.T", "^SOX", "^TNX"},
				Providers: []Provider{
					{Name: "finnhub", URL: "https://finnhub.io", Key: "${FINNHUB_KEY:-}"},
					{Name: "yahoo-spark", URL: "https://query1.finance.yahoo.com"},
					{Name: "yahoo-chart", URL: "https://query1.finance.yahoo.com"},
					{Name: "nasdaq", URL: "https://api.nasdaq.com"},
				},
			},
		},
		Watchers: map[string]Watcher{
			"aaoi-texas":      {Kind: "expansion", Enabled: true, Cron: "0 * * * *", Site: "aaoi-texas"},
			"hyperscaler-lta": {Kind: "lta", Enabled: true, Cron: "5 * * * *"},
			"price-thresholds": {Kind: "price", Enabled: true, Cron: "* * * * *", Rules: []string{
				"AAOI moves 8% in 1d", "SIVE.ST moves 8% in 1d", "LITE moves 8% in 1d", "COHR moves 8% in 1d",
			}},
			"catalysts-risks": {Kind: "thesis", Enabled: true, Cron: "10 * * * *"},
		},
	}
}

func feed(cron, publisher string, primary bool, urls ...string) Source {
	return Source{Kind: "feed", Enabled: true, Cron: cron, Jitter: Duration(30 * time.Second), Timeout: Duration(time.Minute), URLs: urls, Publisher: publisher, Primary: primary}
}
