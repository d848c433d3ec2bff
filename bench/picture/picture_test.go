package main

import (
	"bytes"
	"slices"
	"testing"
)

// It fails, too, where the words have a character that no font has.
func TestThePictureIsTheSameEachTimeAndLightEnoughForAReadme(t *testing.T) {
	t.Parallel()
	one, err := picture()
	if err != nil {
		t.Fatal(err)
	}
	two, err := picture()
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, two) {
		t.Error("two pictures of one alert differ")
	}
	if len(one) > 200_000 {
		t.Errorf("the picture has %d bytes", len(one))
	}
}

func TestLinesBreakAtSpacesAndBesideWideCharactersButNotBeforeClosingMarks(t *testing.T) {
	t.Parallel()
	for in, want := range map[string][]string{
		"two words":   {"two ", "words"},
		"8% (14 Jan)": {"8% ", "(14 ", "Jan)"},
		"动土：AAOI 停":   {"动", "土：", "AAOI ", "停"},
		"常见:AAOI":     {"常", "见:AAOI"},
		"「新厂」动":       {"「新", "厂」", "动"},
		"产能(AAOI)":    {"产", "能", "(AAOI)"},
		"":            nil,
	} {
		if got := atoms(in); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
