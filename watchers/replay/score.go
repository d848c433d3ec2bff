package replay

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/chokepoint-bot/chokepoint/internal/thesis"
)

// counts are right, false and missed answers.
type counts struct{ right, wrong, missed int }

func (c *counts) add(got, want bool) {
	switch {
	case got && want:
		c.right++
	case got:
		c.wrong++
	case want:
		c.missed++
	}
}

func ratio(a, b int) float64 {
	if b == 0 {
		return 1
	}
	return float64(a) / float64(b)
}

func (c counts) precision() float64 { return ratio(c.right, c.right+c.wrong) }
func (c counts) recall() float64    { return ratio(c.right, c.right+c.missed) }
func (c counts) f1() float64        { return ratio(2*c.right, 2*c.right+c.wrong+c.missed) }

func (c counts) String() string {
	return fmt.Sprintf("precision %.2f  recall %.2f  F1 %.2f  (%d right, %d false, %d missed)", c.precision(), c.recall(), c.f1(), c.right, c.wrong, c.missed)
}

// Score judges labelled items and writes how well: whether to alert, over all
// items and without the borderline ones, false alarms on hard ones, each kind,
// the parties of agreements, companies, and stories.
func Score(in io.Reader, out io.Writer, th *thesis.Thesis) error {
	items, err := lines(in)
	if err != nil {
		return err
	}
	want := map[string]Item{}
	for _, it := range items {
		want[it.ID] = it
	}
	var alert, strict, chinese, companies, parties counts
	hard, messages := 0, 0
	kinds := map[string]*counts{}
	told := map[string]bool{}
	var pairs []pair
	for _, v := range judge(items, th) {
		w := want[v.ID]
		due := len(w.Kinds) > 0 && w.Kinds[0] != "none"
		alert.add(v.Alert, due)
		if !w.Borderline {
			strict.add(v.Alert, due)
		}
		if len(w.Lang) >= 2 && w.Lang[:2] == "zh" {
			chinese.add(v.Alert, due)
		}
		if v.Alert && w.Hard {
			hard++
		}
		for _, k := range union(v.Kinds, w.Kinds) {
			if k == "none" {
				continue
			}
			if kinds[k] == nil {
				kinds[k] = &counts{}
			}
			kinds[k].add(slices.Contains(v.Kinds, k), slices.Contains(w.Kinds, k))
		}
		for _, c := range union(v.Companies, w.Companies) {
			companies.add(slices.Contains(v.Companies, c), slices.Contains(w.Companies, c))
		}
		if slices.Contains(v.Kinds, "lta") && slices.Contains(w.Kinds, "lta") {
			parties.add(true, same(v.Buyer, w.Buyer) && same(v.Supplier, w.Supplier))
		}
		if v.Alert && due {
			pairs = append(pairs, pair{v.Story, w.Story})
			if told[w.Story] = true; !v.Update {
				messages++
			}
		}
	}
	precision, recall := bcubed(pairs)
	lines := []string{
		fmt.Sprintf("alert or not        %v", alert), fmt.Sprintf("without borderline  %v", strict), fmt.Sprintf("Chinese alone       %v", chinese),
		fmt.Sprintf("false alarms on hard items: %d", hard),
	}
	for _, k := range slices.Sorted(maps.Keys(kinds)) {
		lines = append(lines, fmt.Sprintf("%-19s %v", k, *kinds[k]))
	}
	lines = append(lines,
		fmt.Sprintf("both parties right  %.2f of %d agreements", parties.precision(), parties.right+parties.wrong),
		fmt.Sprintf("companies           %v", companies),
		fmt.Sprintf("stories             B-cubed precision %.2f  recall %.2f; %.2f messages for each of %d stories told", precision, recall, ratio(messages, len(told)), len(told)),
	)
	for _, l := range lines {
		if _, err := fmt.Fprintln(out, l); err != nil {
			return fmt.Errorf("replay: writing the measures: %w", err)
		}
	}
	return nil
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// same reports whether two lists name the same; any words for a buyer that is
// not named are the same.
func same(a, b []string) bool {
	norm := func(l []string) []string {
		l = slices.Clone(l)
		for i := range l {
			if l[i] == "undisclosed" {
				l[i] = "unnamed hyperscaler"
			}
		}
		slices.Sort(l)
		return l
	}
	return slices.Equal(norm(a), norm(b))
}

// pair is an item's story as judged and as labelled.
type pair struct{ got, want string }

// bcubed is the mean, over items, of how many of those judged to be of its
// story are, and of how many of its story were judged so.
// Bagga and Baldwin, 1998.
func bcubed(items []pair) (precision, recall float64) {
	if len(items) == 0 {
		return 1, 1
	}
	for _, a := range items {
		var both, got, want int
		for _, b := range items {
			if a.got == b.got {
				got++
			}
			if a.want == b.want {
				want++
			}
			if a == b {
				both++
			}
		}
		precision += ratio(both, got)
		recall += ratio(both, want)
	}
	n := float64(len(items))
	return precision / n, recall / n
}
