package main

import (
	"bufio"
	"bytes"
	"flag"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/spillway-ai/spillway/internal/observe/kql"
)

var (
	seed  = flag.Uint64("seed", 1, "of the queries made at random")
	count = flag.Int("queries", 300, "how many queries are made at random")
)

// TestGenerated makes queries at random and runs those that the translator
// takes: each must have an answer, or a failure that is put in our words.
func TestGenerated(t *testing.T) {
	db, err := open(t.Context(), options{tables: tables{{"requests", []string{written(t)}}}, views: views{{"attempts", kql.AttemptsView}}, memory: "1GB", threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	refusals := map[string]string{}
	answered, failed := 0, 0
	var all []string
	for i := range *count {
		g := generator{random: rand.New(rand.NewPCG(*seed, uint64(i)))}
		query := g.query(func(q string, err error) {
			message, _, _ := strings.Cut(err.Error(), "\n")
			_, message, _ = strings.Cut(message, ": ")
			refusals[message] = q
		})
		q, err := kql.Translate(instant, query, kql.Records())
		if err != nil {
			t.Fatalf("%s\n%v", query, err)
		}
		var out bytes.Buffer
		w := bufio.NewWriter(&out)
		if err := answerSQL(t.Context(), db, q.SQL, w); err != nil {
			failed++
			if !readable(err) {
				t.Errorf("query %d: %s\n%v\n%s", i, query, err, q.SQL)
			}
			continue
		}
		answered++
		all = append(all, query)
	}
	for i, theirs := range official(t, schemas(), all) {
		if strings.Contains(all[i], `"Column`) || strings.Contains(all[i], `"max_`) || strings.Contains(all[i], `"min_`) {
			continue // columns without a name are numbered otherwise there
		}
		for _, p := range theirs.Problems {
			t.Errorf("%s\nis not right there: %s", all[i], p)
		}
		if ours, other := headed(t, all[i]), named(theirs.Columns); len(theirs.Problems) == 0 && !slices.Equal(named(ours), other) {
			t.Errorf("%s\nhas here  %s\nand there %s", all[i], ours, other)
		}
	}
	t.Logf("%d answered, %d out of range", answered, failed)
	if testing.Verbose() {
		for message, q := range refusals {
			t.Logf("refused: %s\n\t%s", message, q)
		}
	}
}

func readable(err error) bool { return strings.Contains(err.Error(), "out of range") }

// named are columns with the types that the language has here, and one name
// for all that have none of their own.
func named(columns []string) []string {
	all := slices.Clone(columns)
	for i, c := range all {
		name, typ, _ := strings.Cut(c, ":")
		if typ == "int" {
			typ = "long"
		}
		if strings.HasPrefix(name, "Column") || strings.HasPrefix(name, "max_") || strings.HasPrefix(name, "min_") {
			name = "Column"
		}
		all[i] = name + ":" + typ
	}
	return all
}
