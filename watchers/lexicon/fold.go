package lexicon

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// pairs are traditional characters, each followed by its simplified form: those
// that names and words of the trade are written with.
const pairs = "輝辉達达亞亚馬马遜逊軟软應应華华擴扩產产長长約约協协議议採采購购訂订單单認认權权證证預预優优鎖锁動动開开廠厂糖糖雷雷射射矽硅導导體体網网絡络電电設设備备環环許许補补貼贴獎奖勵励遲迟駁驳決决導导鍺锗鎵镓銦铟銻锑鎢钨鉍铋鉬钼碲碲壓压積积價价漲涨飆飙勢势鋒锋機机構构貿贸戰战關关稅税資资開开減减產产業业務务謝谢爾尔薩萨斯斯託托儀仪器器檢检測测學学傳传聞闻談谈據据擬拟實实澄澄顧顾報报個个這这為为與与從从後后過过還还進进遠远連连貫贯魯鲁門门邁迈威威滿满臉脸書书歌歌積积臺台灣湾發发現现場场線线種种獨独創创新新護护溝沟費费總总統统財财經经國国際际處处際际雲云數数據据規规劃划標标準准級级組组裝装調调額额億亿萬万將将會会說说請请認认識识評评級级題题質质鏈链鍵键類类戶户遞递樣样態态頭头並并爭争點点燈灯熱热無无師师車车輸输轉转軸轴較较載载輯辑辦办農农運运達达違违選选適适遺遗邊边鄰邻釋释針针釘钉鈎钩鈍钝銀银銅铜銷销錄录錢钱鎮镇鏡镜閃闪閉闭間间閱阅闊阔隊队陽阳陰阴陸陆陳陈隨随險险隱隐雖虽雙双難难離离雜杂霧雾靈灵靜静響响頁页項项順顺須须頓顿頒颁領领頻频顆颗願愿顯显風风飛飞飯饭餘余駐驻騰腾驗验驚惊鬆松魚鱼鮮鲜鳥鸟黃黄齊齐龍龙當当誰谁聯联穩稳蘭兰歷历畢毕異异盤盘確确禮礼稱称競竞筆笔節节範范築筑簡简籌筹粵粤糧粮紀纪紅红納纳純纯紙纸細细終终結结絕绝給给維维綜综緊紧緣缘編编練练縮缩縣县繼继續续罰罚聲声職职聽听腦脑膽胆興兴舊旧艱艰節节藝艺藥药蘇苏虧亏蟲虫術术衝冲製制複复見见觀观覺觉覽览訊讯計计討讨訓训記记訪访許许訴诉診诊詞词試试詳详話话該该誌志語语誤误誘诱課课論论諾诺謀谋講讲謹谨譯译讀读變变讓让豐丰負负貢贡貨货販贩貪贪責责貴贵買买貸贷賀贺賣卖賬账賴赖賺赚趨趋躍跃輕轻軌轨輛辆輪轮輯辑農农銳锐壞坏壟垄夾夹奪夺奮奋媽妈孫孙寧宁寫写寬宽寶宝專专尋寻對对屆届層层屬属岡冈島岛巨巨幣币幫帮幹干庫库廢废廣广張张強强彈弹彙汇徵征恆恒惡恶愛爱慣惯憑凭憲宪懷怀戲戏拋抛挾挟掃扫掛挂揚扬換换損损搶抢撥拨擁拥擇择擊击擋挡擔担擠挤擬拟攜携攝摄斷断時时晉晋暢畅暫暂書书條条東东極极榮荣樂乐樓楼樞枢橋桥檔档歐欧歲岁歸归殘残毀毁氣气沒没況况淨净測测湧涌滅灭滯滞漁渔潔洁濟济營营爾尔牽牵狀状獲获獻献瓊琼畫画療疗盡尽監监眾众礦矿磷磷"

var simplify = func() map[rune]rune {
	rs := []rune(pairs)
	m := make(map[rune]rune, len(rs)/2)
	for i := 0; i+1 < len(rs); i += 2 {
		m[rs[i]] = rs[i+1]
	}
	return m
}()

// Folded is a text in the form in which it is compared: lower case, half
// width, simplified characters, and one space for each run of white space,
// hyphens and dashes.
type Folded struct {
	Text string
	at   []int // for each byte of Text, and its end, the offset in the original
}

// Fold brings text into the form in which it is compared.
func Fold(text string) Folded {
	var b strings.Builder
	b.Grow(len(text))
	at := make([]int, 0, len(text)+1)
	space := true // leading space is dropped
	for i, r := range text {
		switch {
		case r >= 0xFF01 && r <= 0xFF5E: // full-width ASCII
			r -= 0xFEE0
		case r == '’' || r == '‘' || r == '\u02BC':
			r = '\''
		case r == '，' || r == '。':
			r = ','
		}
		if unicode.IsSpace(r) || r == '-' || (r >= 0x2010 && r <= 0x2015) || r == 0x200B {
			if !space {
				b.WriteByte(' ')
				at = append(at, i)
			}
			space = true
			continue
		}
		space = false
		r = unicode.ToLower(r)
		if s, ok := simplify[r]; ok {
			r = s
		}
		before := b.Len()
		b.WriteRune(r)
		for range b.Len() - before {
			at = append(at, i)
		}
	}
	return Folded{Text: b.String(), at: append(at, len(text))}
}

// Span is where bytes i to j of Text stand in the original.
func (f Folded) Span(i, j int) (start, end int) {
	if j >= len(f.Text) {
		return f.at[i], f.at[len(f.Text)]
	}
	return f.at[i], f.at[j]
}

// spaced reports whether r is of a script that puts spaces between words.
func spaced(r rune) bool {
	return (unicode.IsLetter(r) || unicode.IsDigit(r)) && !unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai)
}

// starts reports whether a word can start at byte i.
func starts(s string, i int) bool {
	r, _ := utf8.DecodeRuneInString(s[i:])
	if !spaced(r) || i == 0 {
		return true
	}
	before, _ := utf8.DecodeLastRuneInString(s[:i])
	return !spaced(before)
}

// ends reports whether a word can end at byte i.
func ends(s string, i int) bool {
	last, _ := utf8.DecodeLastRuneInString(s[:i])
	if !spaced(last) || i == len(s) {
		return true
	}
	next, _ := utf8.DecodeRuneInString(s[i:])
	return !spaced(next)
}
