// Command picture draws an alert as a chat shows it, in English and in Chinese
// side by side. The words come from bot/render and the built-in thesis; the
// event's particulars are an example. The same build draws the same bytes.
//
//	go run ./bench/picture -out docs/alert.png
package main

import (
	"bytes"
	"flag"
	"fmt"
	"image/png"
	"os"
	"time"
	_ "time/tzdata" // zones on machines that have none

	"github.com/chokepoint-bot/chokepoint/bot"
	"github.com/chokepoint-bot/chokepoint/bot/render"
	"github.com/chokepoint-bot/chokepoint/internal/chokepoint"
	"github.com/chokepoint-bot/chokepoint/internal/i18n"
	"github.com/chokepoint-bot/chokepoint/internal/thesis"
)

func main() {
	out := flag.String("out", "docs/alert.png", "where to write the picture")
	flag.Parse()
	data, err := picture()
	if err == nil {
		err = os.WriteFile(*out, data, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// picture is the PNG.
func picture() ([]byte, error) {
	th, err := thesis.Builtin("cw-laser")
	if err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	words, a := render.New(th, i18n.Must()), groundbreaking()
	sent := a.At.Add(time.Second)
	var posts []post
	for _, chat := range []struct {
		lang chokepoint.Language
		zone string
	}{{chokepoint.English, "America/New_York"}, {chokepoint.Chinese, "Asia/Shanghai"}} {
		zone, err := time.LoadLocation(chat.zone)
		if err != nil {
			return nil, fmt.Errorf("picture: loading the zone %s: %w", chat.zone, err)
		}
		posts = append(posts, post{words.Alert(&a, chat.lang, zone, sent, false), sent.In(zone).Format("15:04")})
	}
	img, err := draw(posts)
	if err != nil {
		return nil, fmt.Errorf("picture: %w", err)
	}
	var b bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.BestCompression}
	if err := enc.Encode(&b, img); err != nil {
		return nil, fmt.Errorf("picture: encoding: %w", err)
	}
	return b.Bytes(), nil
}

// A post is a message with the time that the chat shows beside it.
type post struct {
	message bot.Message
	clock   string
}

// groundbreaking is the example: AAOI breaks ground at Sugar Land.
func groundbreaking() chokepoint.Alert {
	seen := time.Date(2026, 2, 10, 21, 5, 31, 0, time.UTC)
	filed := seen.Add(-40 * time.Second)
	const title = "Applied Optoelectronics breaks ground on new Sugar Land facility"
	return chokepoint.Alert{
		ID: "k7f3q2ma", Story: "k7f3q2ma", Kind: chokepoint.AlertMilestone, Severity: chokepoint.Notice,
		Score: 92, Direction: chokepoint.Positive, Symbols: []chokepoint.Symbol{"AAOI"}, Catalyst: "aaoi-texas",
		Headline: title, Seen: seen, At: seen,
		Facts: chokepoint.Facts{
			"site": "aaoi-texas", "company": "AAOI", "milestone": "groundbreaking", "status": "done", "next": "construction",
			"area": "210000", "invest": "300000000 USD", "jobs": "500",
		},
		Evidence: []chokepoint.Evidence{
			{URL: "https://www.sec.gov/", Publisher: "SEC 8-K", Title: title, Published: filed, Primary: true},
			{URL: "https://www.globenewswire.com/", Publisher: "GlobeNewswire", Title: title, Published: filed},
			{URL: "https://www.sugarlandtx.gov/", Publisher: "City of Sugar Land", Title: title, Published: filed},
		},
		Sources: 3, Owners: 3,
		Risks: []chokepoint.RiskNote{
			{ID: "supply", State: "elevated"},
			{ID: "volatility", State: "high", Facts: chokepoint.Facts{
				"reading": "swings", "symbol": "AAOI", "range": "9.1", "days8": "5", "largest": "22.4", "largest_day": "2026-01-14",
			}},
		},
	}
}
