package archtest

import (
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

var (
	// linkPattern matches the target of a Markdown link.
	linkPattern = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	// spanPattern matches a code span, in which brackets are no link.
	spanPattern = regexp.MustCompile("`[^`]*`")
	// pathPattern matches a path below one of the module's directories.
	pathPattern = regexp.MustCompile("(?:^|[\\s`'\"(|=])(?:\\./)?((?:analyst|cmd|deploy|docs|examples|internal|queries|scripts|tests|tools)/[\\w./*-]+)")
)

// deadLinks finds the relative links, their anchors and the named paths in
// Markdown files that do not exist. A superseded decision is not edited any
// more: its paths are those of its day.
func deadLinks(t *tree) []finding {
	var out []finding
	for _, name := range slices.Sorted(maps.Keys(t.texts)) {
		if path.Ext(name) != ".md" {
			continue
		}
		text := string(t.texts[name])
		superseded := strings.Contains(text, "\nStatus: superseded")
		eachLine(text, func(number int, line string, code bool) {
			if !code {
				for _, m := range linkPattern.FindAllStringSubmatch(spanPattern.ReplaceAllString(line, ""), -1) {
					if why := t.deadLink(name, m[1]); why != "" {
						out = append(out, finding{"links", name, number, m[1] + ": " + why})
					}
				}
			}
			if superseded {
				return
			}
			for _, m := range pathPattern.FindAllStringSubmatch(line, -1) {
				if named := strings.TrimRight(m[1], "./-"); !t.exists(named) {
					out = append(out, finding{"links", name, number, named + ": no such file"})
				}
			}
		})
	}
	return out
}

// deadLink returns why a link from the Markdown file at from leads nowhere, or
// "". Links to other sites are not followed.
func (t *tree) deadLink(from, target string) string {
	if strings.Contains(target, ":") {
		return ""
	}
	file, anchor, _ := strings.Cut(target, "#")
	to := from
	if file != "" {
		to = path.Join(path.Dir(from), file)
	}
	switch {
	case !t.exists(to):
		return "no such file"
	case anchor == "" || path.Ext(to) != ".md":
		return ""
	}
	text, err := fs.ReadFile(t.fsys, to)
	if err != nil || !slices.Contains(anchors(string(text)), anchor) {
		return "no such heading"
	}
	return ""
}

// exists reports whether the tree has a file or directory of that name, or one
// that the pattern matches.
func (t *tree) exists(name string) bool {
	found, err := fs.Glob(t.fsys, name)
	return err == nil && len(found) > 0
}

// anchors returns the anchors of a Markdown text's headings, as GitHub makes
// them.
func anchors(text string) []string {
	var out []string
	seen := map[string]int{}
	eachLine(text, func(_ int, line string, code bool) {
		title := strings.TrimLeft(line, "#")
		if code || title == line || !strings.HasPrefix(title, " ") {
			return
		}
		anchor := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(title))
		n := seen[anchor]
		seen[anchor]++
		if n > 0 {
			anchor += "-" + strconv.Itoa(n)
		}
		out = append(out, anchor)
	})
	return out
}

// eachLine calls f with each line of a Markdown text, its number, and whether it
// lies in a fenced block of code.
func eachLine(text string, f func(number int, line string, code bool)) {
	fenced := false
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
			continue
		}
		f(i+1, line, fenced)
	}
}
