package store

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/STORE.md lists the columns of the code, in their order.
func TestDocumentedColumns(t *testing.T) {
	page, err := os.ReadFile("../../../docs/STORE.md")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)` \\| ([a-z]+) \\| (yes )?\\|$").FindAllStringSubmatch(string(page), -1) {
		got = append(got, m[1]+":"+m[2]+strings.ReplaceAll(m[3], "yes ", "?"))
	}
	record, attempt, _ := strings.Cut(head(), "\n")
	want := append(strings.Split(record, " "), attemptsName+":list")
	for c := range strings.SplitSeq(attempt, " ") {
		want = append(want, attemptsName+"."+c)
	}
	if !slices.Equal(got, want) {
		t.Errorf("docs/STORE.md lists\n%q, want\n%q", got, want)
	}
}
