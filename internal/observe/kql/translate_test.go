package kql

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// instant is what now() means in tests.
var instant = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// sample is a small schema, so that the SQL stays readable.
func sample() []Table {
	return []Table{
		{"requests", concat(columnsOf(Datetime, "time"), columnsOf(String, "id", "outcome", "deployment"),
			columnsOf(Long, "status", "tokens"), columnsOf(Real, "e2e_ms"), columnsOf(Bool, "stream")), "time"},
		{"attempts", concat(columnsOf(String, "request_id", "deployment"), columnsOf(Long, "status")), ""},
	}
}

// TestGolden translates each query of testdata/*.txt; queries stand behind
// "-- query" lines, the answers follow "-- answer".
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var b strings.Builder
			for _, part := range strings.Split(string(data), "-- query\n")[1:] {
				query, _, _ := strings.Cut(part, "-- answer\n")
				query = strings.TrimSpace(query)
				fmt.Fprintf(&b, "-- query\n%s\n-- answer\n%s\n\n", query, answer(query))
			}
			if *update {
				if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if b.String() != string(data) {
				t.Errorf("the answers differ; run with -update and read the difference:\n%s", b.String())
			}
		})
	}
}

func answer(query string) string {
	q, err := Translate(instant, query, sample())
	if err != nil {
		return err.Error()
	}
	var columns []string
	for _, c := range q.Columns {
		columns = append(columns, c.Name+":"+c.Type.String())
	}
	_, sql, _ := strings.Cut(q.SQL, ",\n") // the first step only reads the table
	return fmt.Sprintf("%s\n%s\n%s", strings.Join(columns, " "), sql, q.Render.Kind)
}

// TestColumns has the names and types that a query's columns get by themselves.
func TestColumns(t *testing.T) {
	for _, tt := range []struct{ query, want string }{
		{"requests | summarize count()", "count_:long"},
		{"requests | summarize count(), count()", "count_:long count_1:long"},
		{"requests | summarize avg(e2e_ms), sum(tokens), dcount(id) by bin(time, 1h)", "time:datetime avg_e2e_ms:real sum_tokens:long dcount_id:long"},
		{"requests | summarize percentile(e2e_ms, 99), percentile(e2e_ms, 99.9)", "percentile_e2e_ms_99:real percentile_e2e_ms_99_9:real"},
		{"requests | summarize percentiles(e2e_ms, 50, 95)", "percentile_e2e_ms_50:real percentile_e2e_ms_95:real"},
		{"requests | summarize make_list(id), make_set(status)", "list_id:dynamic set_status:dynamic"},
		{"requests | summarize sum(tokens * 2)", "sum_:long"},
		{"requests | summarize arg_max(time, id) by deployment", "deployment:string time:datetime id:string"},
		{"requests | count", "Count:long"},
		{"requests | project a = time - ago(1h), b = tokens / 2, c = tokens / 2.0, status > 3", "a:timespan b:long c:real Column1:bool"},
		{"requests | project split(id, '-')[0]", "Column1:string"},
		{"print 1 + 1, x = 'a'", "print_0:long x:string"},
		{"requests | project-away time, s* | project-rename what = outcome", "id:string what:string deployment:string tokens:long e2e_ms:real"},
		{"requests | project id | join kind=inner (requests | project id, status) on id", "id:string id1:string status:long"},
		{"union withsource=from requests, attempts | project from, request_id, tokens", "from:string request_id:string tokens:long"},
	} {
		q, err := Translate(instant, tt.query, sample())
		if err != nil {
			t.Errorf("%s: %v", tt.query, err)
			continue
		}
		var got []string
		for _, c := range q.Columns {
			got = append(got, c.Name+":"+c.Type.String())
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.query, strings.Join(got, " "), tt.want)
		}
	}
}

// FuzzTranslate holds SQL to what it may consist of: quoted names, quoted
// strings, numbers, and words of this package. Nothing that a query says gets
// out of its quotes.
func FuzzTranslate(f *testing.F) {
	for _, seed := range []string{
		"requests | where outcome == \"'; DROP TABLE x; --\" and status in (1, 2) | summarize count() by bin(time, 1m)",
		`requests | project ['a"; select 1 --'] = id | take 5`,
		"let n = 5m; requests | where time > ago(n) | extend x = strcat(id, '\\'') | render timechart with (title='a')",
		"requests | join kind=leftouter (attempts) on $left.id == $right.request_id | top 3 by e2e_ms asc nulls last",
		"print datetime(2026-11-22), timespan(1.02:03:04), -1.5e3, dynamic",
		"union requests, (attempts | where status !in (429)) | distinct *",
		"print tostring(1h), format_timespan(1d, 'd.hh [fffffff]'), totimespan(strcat('1', ':00')), endofmonth(now(), 1), endofweek(now()), startofyear(now(), -1), endofday(now())",
		"print datetime_add('month', 1, now()), datetime_add('week', 1, now()), datetime_diff('week', now(), ago(1h)), datetime_part('millisecond', now()), datetime_part('week_of_year', now()), dayofyear(now()), getyear(now()), getmonth(now())",
		"requests | where id has strcat('a', outcome) or id hasprefix outcome or id !hassuffix 'x' or id has_all ('a', 'b') | extend ID = substring(id, -2, 1), ['^'] = bin(tokens, -tokens)",
		"requests | sort by e2e_ms asc, ID desc | summarize (a, B) = percentiles(e2e_ms, 5, 50), make_list(id), make_set_if(id, stream, 3), arg_max(status, *), variance(tokens), count_distinct(id)",
		"let m = materialize(requests | take 3); m | order by e2e_ms desc | summarize make_list(id, 2), stdev(e2e_ms), avg(time), round(sum(tokens) / 2, 1), ceiling(max(e2e_ms)) by sign(tokens), strlen(id)",
		"requests | render timechart with (ycolumns=e2e_ms, tokens, title=\"'\")",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		q, err := Translate(instant, query, sample())
		if err != nil {
			if e, ok := err.(*Error); !ok || e.Line < 1 || e.Column < 1 || e.Error() == "" {
				t.Fatalf("an error without a place: %v", err)
			}
			return
		}
		if problem := outside(q.SQL); problem != "" {
			t.Fatalf("%s\n%s\n%s", problem, query, q.SQL)
		}
	})
}

// outside looks at SQL outside of its quotes.
func outside(sql string) string {
	rest := sql
	var bare strings.Builder
	for rest != "" {
		i := strings.IndexAny(rest, `'"`)
		if i < 0 {
			bare.WriteString(rest)
			break
		}
		bare.WriteString(rest[:i] + "?")
		quote := rest[i : i+1]
		rest = rest[i+1:]
		for {
			end := strings.Index(rest, quote)
			if end < 0 {
				return "a quote that does not end"
			}
			doubled := strings.HasPrefix(rest[end+1:], quote)
			rest = rest[end+1:]
			if !doubled {
				break
			}
			rest = rest[1:]
		}
	}
	text := bare.String()
	for _, bad := range []string{";", "--", "/*", "\\", "read_", "COPY", "ATTACH", "PRAGMA", "INSTALL", "$"} {
		if strings.Contains(text, bad) {
			return "outside of quotes stands " + bad
		}
	}
	if strings.Count(text, "(") != strings.Count(text, ")") {
		return "parentheses do not match"
	}
	for _, word := range strings.FieldsFunc(text, func(r rune) bool {
		return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}) {
		if isLetter(word[0]) && !strings.Contains(allowed, " "+word+" ") {
			return "the word " + word
		}
	}
	return ""
}

// allowed are the words of SQL that translations consist of.
const allowed = " WITH AS NOT MATERIALIZED SELECT FROM WHERE CAST TRY_CAST TIMESTAMP TIMESTAMPTZ VARCHAR BIGINT DOUBLE BOOLEAN AND OR IN IS NULL DISTINCT " +
	"BETWEEN CASE WHEN THEN ELSE END GROUP ORDER BY ASC DESC NULLS FIRST LAST LIMIT UNION ALL INNER LEFT JOIN ON FILTER l r true false " +
	"coalesce nullif to_microseconds to_days epoch_us make_timestamp time_bucket date_trunc date_diff strftime hour day dayofweek " +
	"lower upper length instr replace substring string_split regexp_matches regexp_extract regexp_escape contains starts_with ends_with concat " +
	"len array_to_string to_json abs sign round ceil floor trunc exp pow ln log2 log10 sqrt isnan isinf isfinite least greatest " +
	"INTEGER lpad to_months to_weeks to_years dayofyear month year week millisecond microsecond var_samp count sum avg min max first stddev_samp quantile_disc list list_sort arg_max arg_min any_value struct_extract "
