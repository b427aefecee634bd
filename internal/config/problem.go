package config

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	spillway "github.com/spillway-ai/spillway"
)

// maxProblems bounds the problems that one error lists.
const maxProblems = 100

// Problem is one thing wrong in a configuration file.
type Problem struct {
	Line, Column int    // 1-based; 0 when the problem has no place
	Path         string // of the option, such as deployments[0].ptu; "" for the file
	Message      string // what is wrong
	Fix          string // what to do; may be ""

	excerpt string // the line, without secrets
	caret   int    // runes of excerpt before the place
}

// Errors is everything wrong in one configuration file, in the file's order.
type Errors struct {
	File     string
	Problems []Problem
}

// Error tells every problem with its place, the line in question and the fix.
func (e *Errors) Error() string { return e.each((*Problem).write) }

// Brief tells every problem in one line with its place: no part of the file but
// what the message itself repeats.
func (e *Errors) Brief() string { return e.each((*Problem).writeHead) }

// each writes the problems one after the other, each behind the file's name.
func (e *Errors) each(write func(*Problem, *strings.Builder)) string {
	var b strings.Builder
	for i := range e.Problems {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.File)
		write(&e.Problems[i], &b)
	}
	return b.String()
}

// writeHead tells the problem in one line, beginning after the file's name.
func (p *Problem) writeHead(b *strings.Builder) {
	if p.Line > 0 {
		fmt.Fprintf(b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Path != "" {
		b.WriteString(p.Path + ": ")
	}
	b.WriteString(p.Message)
}

// write tells the problem, beginning after the file's name.
func (p *Problem) write(b *strings.Builder) {
	p.writeHead(b)
	if p.excerpt != "" {
		before := []rune(p.excerpt)[:p.caret]
		for i, r := range before {
			if r != '\t' {
				before[i] = ' '
			}
		}
		fmt.Fprintf(b, "\n%6d | %s\n       | %s^", p.Line, p.excerpt, string(before))
	}
	if p.Fix != "" {
		b.WriteString("\n       = " + p.Fix)
	}
}

// problems gathers what is wrong while a file is read.
type problems struct {
	list   []Problem
	paths  map[string]place  // where each option of the file is
	raw    map[string]string // options whose text was expanded, as they are in the file
	lines  []string          // of the file
	hidden map[int][]span    // what must not be shown, by line
}

// place is where a value stands in the file; both count from 1.
type place struct{ line, column int }

// span is a part of a line, in runes.
type span struct{ from, to int }

// add notes a problem at a place.
func (p *problems) add(at place, path, message, fix string) {
	if len(p.list) < 10*maxProblems {
		p.list = append(p.list, Problem{Line: at.line, Column: at.column, Path: path, Message: message, Fix: fix})
	}
}

// addAt notes a problem of the option at path, which stands where it or the
// nearest part around it was given. A path that has a problem already gets no
// second, nor one that is part of it or has it as its part: it would be the
// same one again.
func (p *problems) addAt(path, message, fix string) {
	for _, known := range p.list {
		if within(path, known.Path) || within(known.Path, path) {
			return
		}
	}
	p.add(p.placeOf(path), path, message, fix)
}

// within reports whether path is outer or a part of it.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && outer != "" && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// placeOf is where path stands, or the nearest part around it.
func (p *problems) placeOf(path string) place {
	for path != "" {
		if at, ok := p.paths[path]; ok {
			return at
		}
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
	}
	return place{}
}

// shown is the value of the option at path as it may be told: as it is in the
// file, because the environment may hold secrets.
func (p *problems) shown(path, value string) string {
	if raw, ok := p.raw[path]; ok {
		value = raw
	}
	return fmt.Sprintf("%q", value)
}

// hide keeps the value that begins at a place out of the excerpts. Text is the
// value; where it is written differently, the rest of its line is hidden.
func (p *problems) hide(at place, text string) {
	for i, part := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		number := at.line + i
		if number < 1 || number > len(p.lines) {
			return
		}
		line, from := []rune(p.lines[number-1]), 0
		if i == 0 {
			from = min(max(at.column-1, 0), len(line))
		}
		to := len(line)
		if before, _, found := strings.Cut(string(line[from:]), part); found && i == 0 && part != "" {
			from += len([]rune(before))
			to = from + len([]rune(part))
		}
		p.hidden[number] = append(p.hidden[number], span{from, to})
	}
}

// excerpt is the line at a place without what is hidden, and the runes of it
// that stand before the place.
func (p *problems) excerpt(at place) (string, int) {
	if at.line < 1 || at.line > len(p.lines) {
		return "", 0
	}
	line := []rune(p.lines[at.line-1])
	column := min(max(at.column-1, 0), len(line))
	covered := make([]bool, len(line))
	for _, s := range p.hidden[at.line] {
		for i := s.from; i < s.to; i++ {
			covered[i] = true
		}
	}
	var out []rune
	caret := 0
	for i, r := range line {
		if i == column {
			caret = len(out)
		}
		switch {
		case !covered[i]:
			out = append(out, r)
		case i == 0 || !covered[i-1]:
			out = append(out, []rune(masked)...)
		}
	}
	if column == len(line) {
		caret = len(out)
	}
	return string(out), min(caret, len(out))
}

// err returns what was gathered as an error, or nil.
func (p *problems) err(file string) error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	list := p.list
	if more := len(list) - maxProblems; more > 0 {
		list = append(list[:maxProblems:maxProblems], Problem{Message: fmt.Sprintf("and %d more problems", more)})
	}
	for i := range list {
		list[i].excerpt, list[i].caret = p.excerpt(place{list[i].Line, list[i].Column})
	}
	return &Errors{File: file, Problems: list}
}

// secretLine finds what follows the name of a secret option. It serves files
// that do not parse, where nothing better is known. It is constant.
var secretLine = regexp.MustCompile(`(?i)(key|keys|bearer|secret|token|password|auth|callers)["']?\s*:\s*`)

// hideLines hides whatever looks like the value of a secret option.
func (p *problems) hideLines() {
	for i, line := range p.lines {
		if at := secretLine.FindStringIndex(line); at != nil {
			p.hide(place{i + 1, 1 + utf8.RuneCountInString(line[:at[1]])}, "")
		}
	}
}

// suggest returns a fix that names the candidate most like word, or lists the
// candidates when none is like it and they are few. Of a path, such as
// chat/completions, the first part is most like it.
func suggest(word string, candidates []string) string {
	if first, _, path := strings.Cut(word, "/"); path && slices.Contains(candidates, first) {
		return didYouMean(first)
	}
	best, least := "", max(2, len(word)/3)+1
	for _, c := range candidates {
		if c == spillway.OperationAll {
			continue // nobody means everything by mistake
		}
		if d := distance(strings.ToLower(word), strings.ToLower(c)); d < least {
			best, least = c, d
		}
	}
	switch {
	case best != "":
		return didYouMean(best)
	case len(candidates) == 0:
		return ""
	case len(candidates) <= 32:
		return "it may be " + strings.Join(candidates, ", ")
	}
	return ""
}

// didYouMean is the fix that suggests a word.
func didYouMean(word string) string { return "did you mean " + word + "?" }

// distance is the number of letters to insert, delete, replace, or swap with
// their neighbor, that make a into b.
func distance(a, b string) int {
	const longest = 64
	if len(a) > longest || len(b) > longest {
		return longest
	}
	var rows [3][longest + 1]int
	older, old, row := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		old[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := old[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, old[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], older[j-2]+1)
			}
		}
		older, old, row = old, row, older
	}
	return old[len(b)]
}
