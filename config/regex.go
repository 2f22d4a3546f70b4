package config

import "regexp/syntax"

// maxRegexSize is how large a regular expression may be, see regexSize. Envoy
// compiles 500,000 and refuses 750,000.
const maxRegexSize = 500_000

// rangesPerStep is how many ranges of characters cost as much as one character.
const rangesPerStep = 50

// regexSize estimates the steps of the program that Envoy makes of an
// expression: one for each character, group and choice, with repetitions
// written out.
func regexSize(re *syntax.Regexp) int {
	size := 1
	switch re.Op {
	case syntax.OpLiteral:
		size = len(re.Rune)
	case syntax.OpCharClass:
		size += len(re.Rune) / 2 / rangesPerStep
	}
	for _, sub := range re.Sub {
		size += regexSize(sub)
	}
	if re.Op == syntax.OpRepeat {
		size *= max(re.Min, re.Max, 1)
	}
	return size
}
