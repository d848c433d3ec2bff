package feed

import (
	"bytes"
	"mime"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	textunicode "golang.org/x/text/encoding/unicode"
)

// decode turns a document into UTF-8. What says how it is encoded is believed
// in this order, if the document can be read so: a byte order mark, the HTTP
// header, the XML declaration; then UTF-8 if it is that, then whatever of the
// common encodings makes the most sense. Headers and declarations are wrong
// often: one of a Western encoding counts for nothing if the document is UTF-8.
func decode(body []byte, contentType string) string {
	if enc := byteOrder(body); enc != nil {
		if s, ok := read(enc, body); ok {
			return s
		}
	}
	utf := utf8.Valid(body)
	for _, name := range []string{headerCharset(contentType), declaredCharset(body)} {
		enc, canonical := charset.Lookup(name)
		if enc == nil || utf && (canonical == "windows-1252" || canonical == "utf-8") {
			continue
		}
		if s, ok := read(enc, body); ok {
			return s
		}
	}
	if utf {
		return string(body)
	}
	return guess(body)
}

// byteOrder is the encoding that a byte order mark tells, nil without one.
func byteOrder(body []byte) encoding.Encoding {
	switch {
	case bytes.HasPrefix(body, []byte("\xef\xbb\xbf")):
		return textunicode.UTF8BOM
	case bytes.HasPrefix(body, []byte("\xff\xfe")), bytes.HasPrefix(body, []byte("<\x00")):
		return textunicode.UTF16(textunicode.LittleEndian, textunicode.UseBOM)
	case bytes.HasPrefix(body, []byte("\xfe\xff")), bytes.HasPrefix(body, []byte("\x00<")):
		return textunicode.UTF16(textunicode.BigEndian, textunicode.UseBOM)
	}
	return nil
}

// read decodes body; false if it is not of enc.
func read(enc encoding.Encoding, body []byte) (string, bool) {
	out, err := enc.NewDecoder().Bytes(body)
	if err != nil || bytes.ContainsRune(out, utf8.RuneError) && !bytes.Contains(body, []byte("\xef\xbf\xbd")) {
		return "", false
	}
	return string(out), true
}

func headerCharset(contentType string) string {
	_, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		// "text/xml;charset = us-ascii" is seen in the wild.
		_, value, _ := strings.Cut(strings.ToLower(contentType), "charset")
		return strings.Trim(value, " =\"'")
	}
	return params["charset"]
}

var declaration = regexp.MustCompile(`<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([\w.:-]+)["']`)

func declaredCharset(body []byte) string {
	m := declaration.FindSubmatch(body[:min(len(body), 1024)])
	if m == nil {
		return ""
	}
	return string(m[1])
}

// guess reads body as the encoding in which it makes the most sense.
func guess(body []byte) string {
	sample := body[:min(len(body), 64<<10)]
	best, bestSense := encoding.Encoding(charmap.Windows1252), sense(sample, charmap.Windows1252)
	for _, enc := range []encoding.Encoding{
		simplifiedchinese.GB18030, traditionalchinese.Big5, japanese.ShiftJIS, japanese.EUCJP, korean.EUCKR,
		charmap.KOI8R, charmap.Windows1251,
	} {
		if s := sense(sample, enc); s > bestSense {
			best, bestSense = enc, s
		}
	}
	out, err := best.NewDecoder().Bytes(body)
	if err != nil { // of the decoders above none fails; they write U+FFFD
		return strings.ToValidUTF8(string(body), "\uFFFD")
	}
	return string(out)
}

// sense says how much sample, read as enc, looks like something that people
// write, per character beyond ASCII: up to 1 for text of common characters,
// below 0 for what no one writes.
func sense(sample []byte, enc encoding.Encoding) float64 {
	out, err := enc.NewDecoder().Bytes(sample)
	if err != nil {
		return -10
	}
	score, n := 0.0, 0
	var last rune
	for _, r := range string(out) {
		if r < utf8.RuneSelf {
			last = r
			continue
		}
		n++
		score += weight(r, last)
		last = r
	}
	if n == 0 {
		return 0
	}
	return score / float64(n)
}

// weight is how likely r is in text, after last.
func weight(r, last rune) float64 {
	switch {
	case r == utf8.RuneError, r >= 0xe000 && r <= 0xf8ff, r >= 0x80 && r < 0xa0:
		return -10 // not of the encoding, private, or a control character
	case strings.ContainsRune(commonHan, r):
		return 1
	case r >= 0x3040 && r <= 0x30ff: // kana
		return 0.9
	case r >= 0xac00 && r <= 0xd7a3: // hangul: all of EUC-KR's are in use
		return 0.6
	case r >= 0xff61 && r <= 0xff9f: // half-width kana: what Shift_JIS makes of everything
		return -0.5
	case r >= 0x4e00 && r <= 0x9fff:
		return 0.3
	case r >= 0x3000 && r <= 0x303f, r >= 0xff01 && r <= 0xff5e: // CJK punctuation
		return 0.5
	case r >= 0x0430 && r <= 0x044f: // small Cyrillic, mostly after its like
		if last >= 0x0410 && last <= 0x044f {
			return 0.9
		}
		return 0.4
	case r >= 0x0410 && r <= 0x042f: // capitals begin words
		if last >= 0x0430 && last <= 0x044f {
			return -1
		}
		return 0.2
	case r >= 0xc0 && r <= 0x24f: // Western letters stand among ASCII
		if last >= utf8.RuneSelf {
			return -0.5
		}
		if unicode.IsLetter(last) || last == ' ' || last == '>' {
			return 0.7
		}
		return 0.2
	case r >= 0xa0 && r < 0xc0, r >= 0x2010 && r <= 0x2044, r == '€', r == '™':
		if last >= utf8.RuneSelf {
			return -0.5
		}
		return 0.5
	}
	return 0
}

// commonHan are among the most frequent characters of Chinese, simplified and
// traditional, and of Japanese.
const commonHan = "的一是不了在人有我他這这個个們们中來来上大為为和國国地到以說说時时要就出會会可也你對对生能而子那得於着著下自之年過过發发後后作里用道行所然家種种事成方多經经麼么去法學学如都同現现當当沒没動动面起看定天分還还進进好小部其些主樣样理心本前開开但因只從从想實实日軍军者意無无力它與与長长把機机十民第公此已工使情明性知全三又關关點点正業业外將将兩两高間间由問问很最重並并物手應应戰战向頭头文體体政美相見见被利什二等產产或新己制身果加西斯月話话合回特代內内信表化老給给世位次度門门任常先海通教兒儿原東东聲声提立及比員员解水名真論论處处走義义各入幾几口認认條条平系氣气題题活爾尔更別别打女變变四神總总何電电數数安少報报才結结反受目太量再感建務务做接必場场件計计管期市直德資资命山金指克許许統统區区保至隊队形社便空決决治展馬马科司五基眼書书非則则聽听白卻却界達达光放強强即像難难且權权思王象完設设式色路記记南品住告類类求據据程北邊边死張张該该交規规萬万取拉格望覺觉術术領领共確确傳传師师觀观清今切院讓让識识候帶带導导爭争運运笔筆股價价晶片雷射訊讯司測测試试電子台灣湾"
