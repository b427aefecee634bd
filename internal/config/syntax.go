package config

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// syntaxFix says how to mend what keeps a file from being YAML, as far as the
// parser's message and the lines around its place tell; "" where they do not.
func syntaxFix(lines []string, at place, message string) string {
	if at.line <= 0 || at.line > len(lines) {
		return ""
	}
	line := lines[at.line-1]
	indent := line[:len(line)-len(strings.TrimLeft(line, " \t"))]
	says := func(part string) bool { return strings.Contains(message, part) }
	switch {
	case strings.Contains(indent, "\t"):
		return "indent with spaces: YAML does not allow tabs there"
	case strings.Contains(line, "${"):
		return "${ } needs quotes around it within { } and [ ]"
	case bareStar.MatchString(line):
		return "write \"*\" in quotes: without them, it begins an alias"
	case says("'}' must"):
		return "close with } the { that is open, or put a comma before this"
	case says("']' must"):
		return "close with ] the [ that is open, or put a comma before this"
	case says("end character of"):
		return "close the quotation mark where the text ends"
	case says("reserved character"):
		return "put the value in quotes"
	case unspaced.MatchString(line):
		return "put a space after the colon"
	case says("mapping value is not allowed"):
		return mappingFix(lines, at)
	case says("not allowed"), says("unexpected key"):
		return placeFix(lines, at)
	}
	return ""
}

var (
	bareStar  = regexp.MustCompile(`[\[,:-]\s*\*\s*([\],}#]|$)`)              // constant
	unspaced  = regexp.MustCompile(`^[ -]*\w+:[^\s/:]`)                       // constant
	keyed     = regexp.MustCompile(`^[ -]*("[^"]*"|'[^']*'|[\w./-]+):(\s|$)`) // constant
	twoColons = regexp.MustCompile(`: .*: `)                                  // constant
)

// mappingFix is the fix for a value that reads like the beginning of a
// mapping.
func mappingFix(lines []string, at place) string {
	if twoColons.MatchString(lines[at.line-1]) {
		return "put the value in quotes if its colon belongs to it"
	}
	if at.line == len(lines) {
		return ""
	}
	_, here := columns(lines[at.line-1])
	if _, next := columns(lines[at.line]); next > here {
		return fmt.Sprintf("start line %d in column %d, like the key above it", at.line+1, here)
	}
	return ""
}

// placeFix is the fix for what cannot be where it is.
func placeFix(lines []string, at place) string {
	line := lines[at.line-1]
	if c, _ := utf8.DecodeRuneInString(line[offset(line, at.column):]); c == ']' || c == '}' {
		return fmt.Sprintf("remove this %c, which closes nothing", c)
	}
	if !keyed.MatchString(line) {
		return "put a colon and a space after the option's name"
	}
	_, here := columns(line)
	var open []string // where keys may begin, the innermost first
	lowest := 1 << 30
	for i := at.line - 2; i >= 0; i-- {
		if !keyed.MatchString(lines[i]) {
			continue
		}
		begin, key := columns(lines[i])
		if key == here {
			return ""
		}
		if key < lowest {
			open = append(open, fmt.Sprint(key))
		}
		lowest = min(lowest, begin)
	}
	if len(open) == 0 {
		return ""
	}
	return "start this line in column " + strings.Join(open, " or ") + ", like a line above"
}

// offset returns where a column, counted from 1 in characters, is in a line.
func offset(line string, column int) int {
	for i := range line {
		if column--; column <= 0 {
			return i
		}
	}
	return len(line)
}

// columns returns where a line begins, and where it does so behind the dashes
// of lists.
func columns(line string) (begin, key int) {
	return 1 + len(line) - len(strings.TrimLeft(line, " ")), 1 + len(line) - len(strings.TrimLeft(line, " -"))
}
