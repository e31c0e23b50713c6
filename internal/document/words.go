package document

import (
	"fmt"
	"strconv"
	"strings"
)

// Number has its thousands apart.
func Number(value int) string {
	text := strconv.Itoa(value)
	for at := len(text) - 3; at > 0 && text[at-1] != '-'; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}

// Counted is a number of things, whose plural ends in s.
func Counted(count int, what string) string {
	if count == 1 {
		return "1 " + what
	}
	return Number(count) + " " + what + "s"
}

// Percent writes a part of 1.
func Percent(part float64) string { return strconv.FormatFloat(100*part, 'f', 1, 64) + " %" }

// Size writes bytes with units of thousands.
func Size(bytes float64) string {
	const step = 1000
	if bytes < step {
		return strconv.FormatFloat(bytes, 'f', 0, 64) + " B"
	}
	units := []string{"B", "kB", "MB", "GB", "TB"}
	for bytes >= step && len(units) > 1 {
		bytes, units = bytes/step, units[1:]
	}
	return strconv.FormatFloat(bytes, 'f', 1, 64) + " " + units[0]
}

// Bar is a part of 1 that shows by its length as well.
func Bar(part float64) string {
	const cells = 10
	text := fmt.Sprintf("%5.1f %%", 100*part)
	eighths := int(part*cells*8 + 0.5)
	if eighths <= 0 {
		return text
	}
	text += " " + strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		text += string([]rune("▏▎▍▌▋▊▉")[rest-1])
	}
	return text
}

// Short ends a text after so many characters.
func Short(text string, most int) string {
	count := 0
	for at := range text {
		if count == most {
			return text[:at] + "…"
		}
		count++
	}
	return text
}

// NotToldTitle is that of NotTold.
const NotToldTitle = "Not told"

// NotTold says what a report could not find out, a sentence each.
func NotTold(notes []string) Section {
	section := Section{Title: NotToldTitle, Table: Table{Header: []string{""}, Prose: []int{0}}}
	for _, note := range notes {
		section.Rows = append(section.Rows, []string{note})
	}
	return section
}

// Present leaves out the sections that have nothing to say.
func Present(sections ...Section) []Section {
	var kept []Section
	for _, section := range sections {
		if len(section.Rows) > 0 || section.Note != "" {
			kept = append(kept, section)
		}
	}
	return kept
}
