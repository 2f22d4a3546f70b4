package config

import (
	"slices"
	"strings"
)

// rename is a key in an old spelling, and the current one.
type rename struct {
	old keyPlace
	now string
}

// respell writes keys in their current spelling. Nothing else of the text
// changes.
func respell(src []byte, renames []rename) []byte {
	lines := strings.SplitAfter(string(src), "\n")
	// From the back, so that the columns before it stay right.
	renames = slices.Clone(renames)
	slices.SortFunc(renames, func(a, b rename) int { return int(b.old.column - a.old.column) })
	for _, r := range renames {
		if int(r.old.line) > len(lines) {
			continue
		}
		line := []rune(lines[r.old.line-1])
		at := min(int(r.old.column)-1, len(line))
		before, rest := string(line[:at]), string(line[at:])
		quote := ""
		if strings.HasPrefix(rest, `"`) || strings.HasPrefix(rest, "'") {
			quote, rest = rest[:1], rest[1:]
		}
		if after, ok := strings.CutPrefix(rest, r.old.name); ok {
			lines[r.old.line-1] = before + quote + r.now + after
		}
	}
	return []byte(strings.Join(lines, ""))
}
