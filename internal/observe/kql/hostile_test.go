package kql

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestHostile has queries that are refused at once, in a few words.
func TestHostile(t *testing.T) {
	var doubled, wide, calls strings.Builder
	doubled.WriteString("let a0 = requests; ")
	for i := range 30 {
		fmt.Fprintf(&doubled, "let a%d = union a%d, a%d; ", i+1, i, i)
	}
	doubled.WriteString("a30 | count")
	calls.WriteString("let f0 = (x: long) { x }; ")
	for i := range 40 {
		fmt.Fprintf(&calls, "let f%d = (x: long) { let a = f%d(1); let b = f%d(2); x }; ", i+1, i, i)
	}
	calls.WriteString("print f40(1)")
	wide.WriteString("requests")
	for i := range 600 {
		fmt.Fprintf(&wide, " | extend a%d = 1", i)
	}
	for _, tt := range []struct{ name, query, want string }{
		{"a megabyte", `requests | where id == "` + strings.Repeat("a", 1<<20) + `"`, "longer than"},
		{"parentheses", "print " + strings.Repeat("(", 5000), "nests more than"},
		{"signs", "print " + strings.Repeat("-", 5000) + "1", "nests more than"},
		{"operators", "requests" + strings.Repeat(" | take 5", 5000), "operators"},
		{"columns", "requests | project " + strings.Repeat("1,", 20000) + "1", "columns"},
		{"columns by and by", wide.String(), "operators"},
		{"doubled lets", doubled.String(), "reads its tables more than"},
		{"subqueries", "requests | where " + strings.Repeat("status > toscalar(requests | count) and ", 80) + "true", "reads its tables more than"},
		{"texts that grow", "let a = strcat(" + strings.Repeat("'x', ", 30) + "''); let b = strcat(" + strings.Repeat("a, ", 30) + "a); let c = strcat(" + strings.Repeat("b, ", 30) + "b); print strcat(" + strings.Repeat("c, ", 30) + "c)", "too large"},
		{"functions that call functions", calls.String(), "calls its functions more than"},
		{"nested dynamic values", "print dynamic(" + strings.Repeat("[", 5000), "nests more than"},
		{"members", "print parse_json('')" + strings.Repeat(".a", 5000), "members in a row"},
		{"members that grow", "let a = parse_json('x'); print " + strings.Repeat("array_concat(", 40) + "a" + strings.Repeat(", a)", 40), ""},
		{"windows", "requests | sort by id asc | extend " + strings.Repeat("row_number(), ", 400) + "row_number()", "operators"},
		{"a line without end", "requests | where id == '" + strings.Repeat("x", 5000), "does not end"},
		{"control characters", "requests | \x1b[31m", "unexpected"},
	} {
		began := time.Now() // what is not refused takes hours
		_, err := Translate(instant, tt.query, sample())
		if tt.want == "" && err == nil {
			continue
		}
		problem, ok := errors.AsType[*Error](err)
		if !ok || !strings.Contains(problem.Message, tt.want) {
			t.Errorf("%s: %.200v", tt.name, err)
			continue
		}
		if text := problem.Error(); len(text) > 1000 || strings.ContainsAny(text, "\x1b\u202e") {
			t.Errorf("%s: the error has %d bytes: %.200q", tt.name, len(text), text)
		}
		if took := time.Since(began); took > time.Minute {
			t.Errorf("%s took %v", tt.name, took)
		}
	}
}

// TestNests takes as many parentheses and calls as people and programs write.
func TestNests(t *testing.T) {
	for _, query := range []string{
		"print " + strings.Repeat("(", 90) + "1" + strings.Repeat(")", 90),
		"requests | extend x = " + strings.Repeat("iff(status == 1, 1, ", 60) + "2" + strings.Repeat(")", 60),
	} {
		if _, err := Translate(instant, query, sample()); err != nil {
			t.Error(err)
		}
	}
}

// TestCase holds names that differ by their case apart, which SQL does not.
func TestCase(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"id", "ID", "Id", "iD", "id^0", "ID^0 1", "Id^0", "id^", "^", "é", "É"} {
		folded := strings.Map(func(r rune) rune { // as SQL folds them
			if r >= 'A' && r <= 'Z' {
				return r + 'a' - 'A'
			}
			return r
		}, ident(name))
		if other, ok := seen[folded]; ok {
			t.Errorf("%s and %s are both %s", other, name, folded)
		}
		seen[folded] = name
	}
}

// TestLongLine has an error far into a line: what is near it is shown, and the
// caret stands below its place.
func TestLongLine(t *testing.T) {
	_, err := Translate(instant, "requests | where id in ("+strings.Repeat("'é', ", 200)+"'x') and outcom == 'ok' and "+strings.Repeat("stream and ", 50)+"stream", sample())
	lines := strings.Split(fmt.Sprint(err), "\n")
	if len(lines) != 3 {
		t.Fatal(err)
	}
	before, _, found := strings.Cut(lines[1], "outcom")
	if !found || len([]rune(before)) != strings.Index(lines[2], "^") || strings.Count(lines[2], "^") != len("outcom") {
		t.Error(err)
	}
}
