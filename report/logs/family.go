package logs

import (
	"cmp"
	"slices"
	"strings"
)

// leastFamily is how many fields have a name in common before their ids are taken for ids: of few it may be a list.
const leastFamily = 10

// families finds fields whose names differ in ids only. A record that has ids as keys, such as {"users": {"17": ...}}, becomes
// fields users_17_..., of which each id makes new ones. The function tells whether a name is of one that was found.
func families(names []string) (found []Family, member func(name string) bool) {
	counts := map[string]int{}
	for _, name := range names {
		if family, is := familyOf(name); is {
			counts[family]++
		}
	}
	found = []Family{}
	for name, fields := range counts {
		if fields >= leastFamily {
			found = append(found, Family{name, fields})
		}
	}
	slices.SortFunc(found, func(a, b Family) int { return cmp.Or(cmp.Compare(b.Fields, a.Fields), cmp.Compare(a.Name, b.Name)) })
	return found, func(name string) bool {
		family, is := familyOf(name)
		return is && counts[family] >= leastFamily
	}
}

// familyOf puts * in the place of each id of a name; OpenObserve writes an underscore for whatever parts words, so a UUID is five
// of them.
func familyOf(name string) (family string, is bool) {
	var parts []string
	id := false
	for part := range strings.SplitSeq(name, "_") {
		was := id
		id = isID(part) || was && isPartOfUUID(part)
		switch {
		case !id:
			parts = append(parts, part)
		case !was:
			parts = append(parts, "*")
			is = true
		}
	}
	return strings.Join(parts, "_"), is
}

// isID takes digits, and eight hex digits or more of which one is a digit.
func isID(part string) bool {
	const hex = 8
	if part == "" {
		return false
	}
	digits := strings.Trim(part, "0123456789") == ""
	return digits || len(part) >= hex && isHex(part) && strings.ContainsAny(part, "0123456789")
}

func isPartOfUUID(part string) bool {
	const short, long = 4, 12
	return (len(part) == short || len(part) == long) && isHex(part)
}

func isHex(part string) bool { return strings.Trim(part, "0123456789abcdef") == "" }
