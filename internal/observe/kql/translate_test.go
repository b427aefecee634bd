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
		{"requests | project split(id, '-')[0], parse_json(id).a, parse_json(id)['x y']", "id_0:dynamic id_a:dynamic id_x y:dynamic"},
		{"requests | summarize 90th = percentile(e2e_ms, 90), count(id)", "90th:real count_id:long"},
		{"requests | join attempts on $left.id == $right.request_id | project deployment1, status", "deployment1:string status:long"},
		{"requests | join kind=rightanti attempts on deployment", "request_id:string deployment:string status:long"},
		{"requests | project id, status | lookup (attempts | project id = request_id, deployment) on id", "id:string status:long deployment:string"},
		{"requests | make-series n = count() on time step 1h by deployment", "deployment:string n:dynamic time:dynamic"},
		{"requests | project id | mv-expand with_itemindex=at x = split(id, '_') to typeof(long)", "id:string x:long at:long"},
		{"requests | take 1 | search 'x' | project-away e2e_ms, stream, tokens, status", "$table:string time:datetime id:string outcome:string deployment:string"},
		{"requests | getschema", "ColumnName:string ColumnOrdinal:long DataType:string ColumnType:string"},
		{"range x from 1 to 3 step 1 | extend y = x * 1.5", "x:long y:real"},
		{"datatable (a: string, b: dynamic) ['x', dynamic([1])] | project b, a", "b:dynamic a:string"},
		{"requests | top-hitters 3 of deployment", "deployment:string approximate_count_deployment:long"},
		{"let f = (a: long, b: real = 2.0) { a * b }; requests | project x = f(status), y = f(1, 1.5)", "x:real y:real"},
		{"requests | sort by time asc | project id, prev(id), n = row_number()", "id:string Column1:string n:long"},
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
		"requests | where id in (dynamic(['a', \"b'\", 1, null])) | extend d = dynamic({\"a'\": [1.5, true, datetime(2026-01-01)]}) | extend d.a[0], d[\"x'\"], d[tokens], d[id], tolong(d.b) + 1, tobool(d), todatetime(d), totimespan(d)",
		"requests | join kind=fullouter attempts on deployment | join kind=leftsemi (attempts) on status | join kind=rightanti (requests) on id | join (requests) on id",
		"requests | mv-expand x = parse_json(id), y = split(outcome, ',') to typeof(real) limit 5 | mv-expand kind=array x",
		"requests | make-series avg(tokens), n = count() default=0 on time from ago(1h) to now() step 5m by deployment | extend series_fill_linear = series_stats_dynamic(n), series_add(n, n), series_fill_forward(n)",
		"requests | sort by time asc | extend p = prev(id), q = next(tokens, 2, 0), c = row_cumsum(tokens, id != prev(id)), n = row_number(), r = row_rank_dense(tokens) | where prev(tokens) > 1 | serialize k = row_number(1)",
		"requests | parse id with * 'a=' x: long \"';\" y * | parse-where kind=regex outcome with @'\\d+' z 'q' w: datetime",
		"requests | search 'x*' and status > 5 | sample 5 | top-hitters 2 of id by tokens | sample-distinct 3 of id",
		"search in (requests, attempts) deployment: \"*a'b*\" or not('c')",
		"let f = (a: string, T: (*)) { let x = strcat(a, '!'); T | where id == x }; f('it\\'s', requests) | count",
		"range d from ago(1d) to now() step 1h | extend x = bin_at(d, 1h, now()) | union (range y from 1.5 to 2.5 step 0.5), (datatable (z: string, j: dynamic) ['a', dynamic([1])])",
		"requests | extend replace_regex(id, @'(\\d)', @'<\\1>'), countof(id, 'a'), countof(id, 'a', 'regex'), extract_all(@'(a)(b)', id), trim('x', id), parse_url(id), ipv4_is_in_range(id, '10.0.0.0/8'), bag_pack('a', id, \"b'\", now()), pack_all(), array_slice(split(id, ','), 0, -1), make_datetime(2026, 1, 2, 3, 4, 5.5), indexof(id, 'a', 1, -1, 2), format_bytes(tokens, 1)",
		"requests | summarize make_list(pack_array(id, time)), make_set(time), percentileif(e2e_ms, 50, stream), stdevif(tokens, stream), take_anyif(id, stream), variancep(tokens) by x = iff(stream, 1, 'a') == 'a'",
		".show tables",
		"requests | getschema | extend a = gettype(dynamic([1])), b = column_ifexists('x', 'y') | project-reorder ColumnType, *",
		"requests | where * contains \"'\" and '5' == status | where id == 5 or stream == 'true' or stream == 1",
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
	"INTEGER lpad to_months to_weeks to_years dayofyear month year week millisecond microsecond var_samp count sum avg min max first stddev_samp quantile_disc list list_sort arg_max arg_min any_value struct_extract " +
	"JSON json_extract json_extract_string json_type json_keys json_object json_array json_array_length json_merge_patch lambda x i k a b list_transform list_filter list_contains list_position list_concat list_slice list_distinct list_reverse list_reduce list_sum list_min list_max list_avg " +
	"FULL USING n regexp_replace row_number trim unnest var_pop DECIMAL OVER SAMPLE SEMI d generate_series range ANTI HAVING VALUES f lag regexp_extract_all reservoir t ROWS TRY lead list_stddev_samp s UNBOUNDED list_var_samp PRECEDING PARTITION dense_rank "
