package main

import (
	"bytes"
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spillway-ai/spillway/internal/observe/kql"
)

// instant is what now() means in tests.
var instant = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// rows are twelve requests, one each minute, in the columns that the tests
// look at; every other column of the schema is null.
const rows = `SELECT TIMESTAMP '2026-11-22 11:00:00' + to_minutes(i) AS "time", 'req_' || i AS id,
	['ptu-eastus', 'std-sweden'][1 + i % 2] AS deployment, ['acme', 'globex', 'initech'][1 + i % 3] AS tenant, 'caller-' || (i % 2) AS caller,
	CASE i % 4 WHEN 0 THEN 429 WHEN 3 THEN NULL ELSE 200 END AS status, CASE i % 4 WHEN 0 THEN 'throttled' WHEN 3 THEN 'client_gone' ELSE if(i = 1, 'timeout', 'ok') END AS outcome,
	100.0 * (i + 1) AS e2e_ms, 10.0 * (i + 1) AS ttft_ms, 5.0 AS tbt_mean_ms, 1000 AS prompt_tokens, 250 AS cached_tokens, 50 * (i + 1) AS completion_tokens,
	0 AS reasoning_tokens, CASE WHEN i > 5 THEN 2000 END AS ask_tokens, CASE WHEN i = 7 THEN 'budget' ELSE '' END AS truncated,
	CASE WHEN i % 6 = 5 THEN 'refused' ELSE '' END AS spill, 1 + i % 2 AS attempt_count, 0 AS client_retry, i % 2 = 0 AS stream,
	CASE WHEN i % 2 = 0
		THEN [{'deployment': 'ptu-eastus', 'kind': 'provisioned', 'start_ms': 0.0, 'end_ms': 50.0, 'ttft_ms': 10.0, 'tokens': 50, 'failure': '', 'status': 200, 'utilization_ratio': 0.5}]
		ELSE [{'deployment': 'ptu-eastus', 'kind': 'provisioned', 'start_ms': 0.0, 'end_ms': 20.0, 'ttft_ms': NULL, 'tokens': 0, 'failure': 'refused', 'status': 429, 'utilization_ratio': 1.0},
			{'deployment': 'std-sweden', 'kind': 'standard', 'start_ms': 20.0, 'end_ms': 90.0, 'ttft_ms': 20.0, 'tokens': 100, 'failure': '', 'status': 200, 'utilization_ratio': NULL}] END AS attempts
	FROM range(12) t(i)`

// written writes the rows as Parquet, with all columns of the schema, and
// returns the glob.
func written(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var rest, element []string
	types := map[kql.Type]string{kql.Bool: "BOOLEAN", kql.Long: "BIGINT", kql.Real: "DOUBLE", kql.String: "VARCHAR", kql.Datetime: "TIMESTAMP"}
	for _, table := range kql.Records() {
		for _, c := range table.Columns {
			switch {
			case table.Name == "requests" && !strings.Contains(rows, " AS "+c.Name+",") && !strings.Contains(rows, " AS "+c.Name+"\n") && c.Name != "time":
				rest = append(rest, "CAST(NULL AS "+types[c.Type]+`) AS "`+c.Name+`"`)
			case table.Name == "attempts" && !strings.Contains(" request_id request_time caller tenant class model number ", " "+c.Name+" "):
				element = append(element, `"`+c.Name+`" `+types[c.Type])
			}
		}
	}
	query := "SELECT * REPLACE (from_json(to_json(attempts), '[{" + jsonShape(element) + "}]') AS attempts), " + strings.Join(rest, ", ") + " FROM (" + rows + ")"
	if _, err := db.Exec("COPY (" + query + ") TO '" + filepath.Join(dir, "0.parquet") + "' (FORMAT parquet)"); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "*.parquet")
}

// jsonShape writes columns and their types as from_json takes them.
func jsonShape(columns []string) string {
	var all []string
	for _, c := range columns {
		name, typ, _ := strings.Cut(c, " ")
		all = append(all, name+`: "`+typ+`"`)
	}
	return strings.Join(all, ", ")
}

// ask runs a query of Kusto and returns its rows.
func ask(t *testing.T, glob, query string) string {
	t.Helper()
	q, err := kql.Translate(instant, query, kql.Records())
	if err != nil {
		t.Errorf("%s\n%v", query, err)
	}
	out, err := runSQL(t, glob, q.SQL)
	if err != nil {
		t.Errorf("%s\n%v\n%s", query, err, q.SQL)
	}
	_, rows, _ := strings.Cut(out, "\n")
	return strings.Join(strings.Fields(strings.ReplaceAll(rows, "\n", " ")), " ")
}

func runSQL(t *testing.T, glob, query string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	err := run(t.Context(), []string{"-table", "requests=" + glob, "-view", "attempts=" + kql.AttemptsView, "-threads", "1"}, strings.NewReader(query), &out)
	return out.String(), err
}

// TestOperators holds each operator and function against an answer worked out
// by hand.
func TestOperators(t *testing.T) {
	glob := written(t)
	for _, tt := range []struct{ query, want string }{
		{"requests | count", "[12]"},
		{"requests | where status == 429 | count", "[3]"},
		{"requests | where status != 429 | count", "[9]"}, // null differs
		{"requests | where not(status == 429) | count", "[9]"},
		{"requests | where isnull(status) | count", "[3]"},
		{"requests | where status > 0 | count", "[9]"},
		{"requests | where status in (200, 429) | count", "[9]"},
		{"requests | where status !in (200) | count", "[6]"},
		{"requests | where time >= datetime(2026-11-22 11:10) | count", "[2]"},
		{"requests | where time > ago(55m) | count", "[6]"},
		{"requests | where time between (datetime(2026-11-22 11:00) .. 3m) | count", "[4]"},
		{"requests | where e2e_ms !between (200 .. 1100) | project id", `["req_0"] ["req_11"]`},
		{"requests | where outcome has 'gone' | count", "[3]"},
		{"requests | where outcome has 'GONE' | count", "[3]"},
		{"requests | where outcome has_cs 'GONE' | count", "[0]"},
		{"requests | where outcome has 'gon' | count", "[0]"},
		{"requests | where outcome contains 'GON' | count", "[3]"},
		{"requests | where outcome !contains 'gon' | count", "[9]"},
		{"requests | where outcome == 'OK' | count", "[0]"},
		{"requests | where outcome =~ 'OK' | count", "[5]"},
		{"requests | where outcome !~ 'OK' | count", "[7]"},
		{"requests | where deployment startswith 'PTU' and deployment endswith 'eastus' | count", "[6]"},
		{"requests | where deployment !startswith_cs 'PTU' | count", "[12]"},
		{"requests | where id matches regex @'_1\\d$' | count", "[2]"},
		{"requests | where deployment has_any ('sweden', 'mars') | count", "[6]"},
		{"requests | where tenant in~ ('ACME') | count", "[4]"},
		{"requests | summarize count() by tenant | order by tenant asc", `["acme",4] ["globex",4] ["initech",4]`},
		{"requests | summarize sum(completion_tokens), avg(e2e_ms), min(e2e_ms), max(id)", `[3900,650,100,"req_9"]`},
		{"requests | summarize percentile(e2e_ms, 50), percentiles(e2e_ms, 95, 100)", "[600,1200,1200]"},
		{"requests | summarize countif(status == 429), dcount(tenant), sumif(completion_tokens, stream), avgif(e2e_ms, not(stream))", "[3,3,1800,700]"},
		{"requests | summarize round(stdev(e2e_ms), 3)", "[360.555]"},
		{"requests | where e2e_ms < 0 | summarize count(), sum(completion_tokens), stdev(e2e_ms), avg(e2e_ms), make_list(id)", "[0,0,0,null,[]]"},
		{"requests | where e2e_ms <= 200 | summarize make_list(id), make_set(status)", `[["req_0","req_1"],[200,429]]`},
		{"requests | summarize arg_max(e2e_ms, id, status) by stream | order by e2e_ms asc", `[true,1100,"req_10",200] [false,1200,"req_11",null]`},
		{"requests | summarize arg_min(time, *) | project time, id, tenant", `["2026-11-22T11:00:00Z","req_0","acme"]`},
		{"requests | where id == 'req_3' | summarize take_any(tenant, status)", `["acme",null]`},
		{"requests | summarize count() by bin(time, 5m) | order by time asc", `["2026-11-22T11:00:00Z",5] ["2026-11-22T11:05:00Z",5] ["2026-11-22T11:10:00Z",2]`},
		{"requests | summarize n = count(), max(time) by bin(time, 1h)", `["2026-11-22T11:00:00Z",12,"2026-11-22T11:11:00Z"]`},
		{"requests | summarize count() by bin(time, 7d)", `["2026-11-16T00:00:00Z",12]`}, // a Monday, as 0001-01-01
		{"requests | summarize count() by bin(e2e_ms, 500) | order by e2e_ms asc", "[0,4] [500,5] [1000,3]"},
		{"requests | top 2 by e2e_ms | project id", `["req_11"] ["req_10"]`},
		{"requests | top 2 by status asc | project status", "[null] [null]"},
		{"requests | sort by status desc, e2e_ms asc | take 1 | project id", `["req_0"]`},
		{"requests | sort by e2e_ms asc nulls last | project id | take 2", `["req_0"] ["req_1"]`},
		{"requests | distinct tenant, stream | count", "[6]"},
		{"requests | project a = completion_tokens / 100, b = completion_tokens / 100.0, c = completion_tokens % 40 | take 1", "[0,0.5,10]"},
		{"requests | extend x = 1, e2e_ms = toint(e2e_ms) | project-keep id, x, e2e* | where x == 1 | take 1", `["req_0",100,1]`},
		{"requests | summarize spread = max(time) - min(time) | project spread / 1m, spread, spread > 10m", "[11,660000000,true]"},
		{"requests | where id == 'req_1' | join kind=inner (attempts) on $left.id == $right.request_id | project id, number, status1 | order by number asc", `["req_1",1,429] ["req_1",2,200]`},
		{"requests | project id | join kind=leftouter (requests | where status == 429 | project id, deployment) on id | where isempty(deployment) | count", "[9]"},
		{"attempts | where status == 429 | summarize count() by deployment", `["ptu-eastus",6]`},
		{"union requests, attempts | count", "[30]"},
		{"union withsource=t requests, attempts | summarize count() by t | order by t asc", `["attempts",18] ["requests",12]`},
		{"let a = requests | where stream; let n = toscalar(a | summarize max(e2e_ms)); a | where e2e_ms == n | project id", `["req_10"]`},
		{"let big = requests | top 2 by e2e_ms | project id; requests | where id in (big) | count", "[2]"},
		{"print 7 / 2, -7 / 2, 7 / 2.0, 1 / 0, bin(-7, 5), bin(7.5, 2), 100000 * 100000", "[3,-3,3.5,null,-10,6,10000000000]"},
		{"print bin(90s, 1m) / 1s, 1d / 1h, 2 * 30s == 1m, timespan(1.02:03:04) / 1s", "[60,24,true,93784]"},
		{"print startofday(datetime(2026-11-22 13:14)), startofweek(datetime(2026-11-24)), startofmonth(datetime(2026-11-22)), startofyear(datetime(2026-11-22)), startofhour(datetime(2026-11-22 13:14))", `["2026-11-22T00:00:00Z","2026-11-22T00:00:00Z","2026-11-01T00:00:00Z","2026-01-01T00:00:00Z","2026-11-22T13:00:00Z"]`},
		{"print hourofday(datetime(2026-11-22 13:14)), dayofweek(datetime(2026-11-23)) / 1d, dayofmonth(now()), now(-1h)", `[13,1,22,"2026-11-22T11:00:00Z"]`},
		{"print format_datetime(datetime(2026-11-02 03:04:05.678), 'yyyy-MM-dd H:mm:ss.fff'), datetime_diff('hour', datetime(2026-11-22 11:01), datetime(2026-11-22 09:59))", `["2026-11-02 3:04:05.678",2]`},
		{"print todatetime('2026-11-22T10:00:00+02:00'), todatetime('soon'), tolong('12'), tolong('x'), todouble('1.5'), toint(2.9), tobool('true')", `["2026-11-22T08:00:00Z",null,12,null,1.5,2,true]`},
		{"print tostring(5), tostring(datetime(2026-11-22)), tostring(long(null)), strcat('a', 1, '-', true)", `["5","2026-11-22T00:00:00.0000000Z","","a1-true"]`},
		{"print strlen('abc'), toupper('a'), tolower('A'), substring('abcdef', 2, 3), substring('abc', 1), indexof('abc', 'c'), replace_string('aXa', 'X', '-')", `[3,"A","a","cde","bc",2,"a-a"]`},
		{"print split('a/b', '/')[1], split('a/b', '/')[-1], split('a', '/')[4], array_length(split('a/b', '/')), extract(@'(\\d+)', 1, 'ab12')", `["b","b",null,2,"12"]`},
		{"print coalesce(long(null), 5), coalesce('', 'x'), iff(true, 1, 2.5), case(false, 'a', true, 'b', 'c'), isempty(''), isnotempty('a'), isnull(''), isnotnull(1)", `[5,"x",1,"b",true,true,false,true]`},
		{"print abs(-3), round(2.345, 2), ceiling(1.2), floor(7, 5), sqrt(16), sqrt(-1), pow(2, 10), round(exp(1), 3), log(1), log10(1000), log2(8), sign(-4.5), min_of(2, 1), max_of(1, 2.5)", "[3,2.35,2,5,4,null,1024,2.718,0,3,3,-1,1,2.5]"},
		{"print log(0), isnan(0.0 / 0.0), 1.0 / 0.0, 5 in (1, 5), 'a' == 'A', null_differs = long(null) != 1, nulls = long(null) == long(null)", `[null,true,"+Inf",true,false,true,null]`},
	} {
		if got := ask(t, glob, tt.query); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.query, got, tt.want)
		}
	}
}

// TestAsThere has answers that Microsoft's documentation gives, or that follow
// from what it says.
func TestAsThere(t *testing.T) {
	glob := written(t)
	for _, tt := range []struct{ query, want string }{
		// names differ by their case
		{"requests | extend ID = 'x', Status = 5 | where status == 429 | project id, ID, status, Status | take 1", `["req_0","x",429,5]`},
		{"requests | summarize n = count(), N = dcount(id), Tenant = max(tenant) by tenant | where N == 4 | count", "[3]"},
		{"requests | count | project Count, count = 1", "[12,1]"},
		// whole numbers have 64 bits wherever they come from
		{"print iff(true, 100000, 2) * 100000, coalesce(100000, 1) * 100000, bin(3000000000, 7)", "[10000000000,10000000000,2999999996]"},
		{"requests | take 1 | extend x = 100000 | project x * x, 1d * 100000 / 1d", "[10000000000,100000]"},
		{"let n = 100000; print n * n", "[10000000000]"},
		// terms end where letters and digits do
		{"print 'ptu-eastus' has '-eastus', 'ptu-eastus' has 'eastus', 'ptu-eastus' has 'east', 'a_b' has 'b', 'ab' has 'b', 'a' has ''", "[true,true,false,true,false,true]"},
		{"requests | where deployment has strcat('-', region, 'eastus') | count", "[6]"},
		{"print 'North America' has 'america', 'North America' hasprefix 'ame', 'North America' !hasprefix 'mer', 'North America' hassuffix 'ica', 'North America' hassuffix_cs 'Ica', 'a b' has_all ('a', 'B')", "[true,true,true,true,false,true]"},
		// bins
		{"print bin(-7, 5), bin(-7.5, 2), bin(-90s, 1m) / 1s, bin(datetime(1969-12-31 23:59:30), 1m), bin(time(16d), 7d) / 1d, bin(datetime(1970-05-11 13:45:07), 1d)", `[-10,-8,-120,"1969-12-31T23:59:00Z",14,"1970-05-11T00:00:00Z"]`},
		{"requests | take 1 | project bin(e2e_ms, -e2e_ms), bin(status, status - status), bin(time, -1h * tier)", "[null,null,null]"},
		// nothing
		{"requests | where false | summarize avg(e2e_ms), percentile(e2e_ms, 50), min(id), max(time), sum(e2e_ms), dcount(id), arg_max(time, id), stdev(e2e_ms), variance(status), make_set(id)", `[null,null,"",null,0,0,null,"",0,0,[]]`},
		{"requests | where false | summarize count() by id", ""},
		{"requests | summarize arg_max(ask_tokens, tenant) by status | order by status asc | project ask_tokens, isempty(tenant)", "[2000,false] [2000,false] [2000,false]"},
		{"requests | where id in ('req_0', 'req_1') | summarize arg_max(ask_tokens, completion_tokens) by id | order by id asc", `["req_0",null,50] ["req_1",null,100]`},
		{"requests | summarize count(), countif(isnull(status)), avg(status), sum(status)", "[12,3,276.3333333333333,2487]"},
		// lists follow the order of the rows
		{"requests | sort by e2e_ms desc | where stream | take 3 | project id, e2e_ms | summarize make_list(id)", `[["req_10","req_8","req_6"]]`},
		{"requests | order by status desc, time asc | summarize make_list(id, 2) by stream | order by stream asc", `[false,["req_1","req_5"]] [true,["req_0","req_4"]]`},
		// names for the columns of one aggregate
		{"requests | summarize (p50, p95) = percentiles(e2e_ms, 50, 95), (worst, ['its id']) = arg_max(e2e_ms, id) | project p95 - p50, ['its id']", `[600,"req_11"]`},
		{"requests | summarize make_set_if(tenant, stream, 2), make_list_if(id, e2e_ms < 300)", `[["acme","globex"],["req_0","req_1"]]`},
		{"let slow = materialize(requests | top 2 by e2e_ms); slow | count", "[2]"},
		// texts
		{"print substring('123456', 1), substring('123456', 2, 2), substring('ABCD', 0, 2), substring('123456', -2, 2), substring('123', -9), substring('abc', 1, -1), substring('abc', 1, 3000000000)", `["23456","34","AB","56","123","","bc"]`},
		{"print tostring(90s), tostring(-1d), strcat(2d + 100ms, '/'), tostring(timespan(null)), format_timespan(29d + 9h + 5.12345s, 'dd.hh:mm:ss:ff'), format_timespan(29d + 9h + 5.12345s, 'ddd.h:mm:ss [fffffff]')", `["00:01:30","-1.00:00:00","2.00:00:00.1000000/","","29.09:00:05:12","029.9:00:05 [1234500]"]`},
		{"print substring('éaß', -9), substring('éaß', -2, 1), substring('', -1), substring('éaß', 3)", `["éaß","a","",""]`},
		{"print totimespan('1.02:03:04.5') / 1s, totimespan('-00:01:00') / 1s, totimespan('soon')", "[93784.5,-60,null]"},
		// times
		{"print endofday(datetime(2026-11-22 10:00)), endofweek(datetime(2026-11-25)), endofmonth(datetime(2026-02-10)), endofyear(now(), -1), startofday(now(), -1), startofweek(now(), 1), startofmonth(now(), 3)", `["2026-11-22T23:59:59.999999Z","2026-11-28T23:59:59.999999Z","2026-02-28T23:59:59.999999Z","2025-12-31T23:59:59.999999Z","2026-11-21T00:00:00Z","2026-11-29T00:00:00Z","2027-02-01T00:00:00Z"]`},
		{"print datetime_diff('week', datetime(2017-10-29), datetime(2017-09-30 23:59)), datetime_diff('month', datetime(2017-01-01), datetime(2015-12-30)), datetime_diff('quarter', datetime(2017-07-01), datetime(2017-03-30)), datetime_diff('second', datetime(2017-10-30 23:00:10.100), datetime(2017-10-30 23:00:00.900))", "[5,13,2,10]"},
		{"print datetime_add('month', 1, datetime(2026-01-31)), datetime_add('week', -1, datetime(2026-11-22)), datetime_part('dayofyear', datetime(2026-02-01)), datetime_part('millisecond', datetime(2026-02-01 10:00:01.234)), monthofyear(now()), getyear(now()), dayofyear(datetime(2026-12-31))", `["2026-02-28T00:00:00Z","2026-11-15T00:00:00Z",32,234,11,2026,365]`},
		{"requests | summarize avg(time)", `["2026-11-22T11:05:30Z"]`},
		// dynamic values
		{"print d = dynamic({'a': {'b': [1, 2.5, 'x']}}) | project d.a.b[0] + 1, d['a'].b[-1], tostring(d.a), isnull(d.nothing), array_length(d.a.b), d.a.b[2] == 'x', gettype(d.a), tolong(d.a.b[1])", `[2,"x","{\"b\":[1,2.5,\"x\"]}",true,3,true,"dictionary",2]`},
		{`print parse_json('{"a":null}').a, parse_json('nothing'), tostring(parse_json('')), parse_json('[1,"2"]')[1], bag_keys(dynamic({'x': 1, 'y': 2}))`, `[null,"nothing","","2",["x","y"]]`},
		{"print array_slice(dynamic([1, 2, 3, 4, 5]), -3, -2), array_concat(dynamic([1]), dynamic(['a'])), set_difference(dynamic([1, 2, 3]), dynamic([2])), array_sort_desc(dynamic([3, 1, 10])), array_index_of(dynamic(['a', 'b']), 'b'), array_sum(dynamic([1, 2.5]))", `[[3,4],[1,"a"],[1,3],[10,3,1],1,3.5]`},
		{"print bag_pack('a', 1, 'b', pack_array(true, 'x')), bag_merge(dynamic({'a': 1}), dynamic({'a': 2, 'b': 3})), bag_has_key(dynamic({'a': 1}), 'a'), pack_array(now(), 1h)", `[{"a":1,"b":[true,"x"]},{"a":1,"b":3},true,["2026-11-22T12:00:00.0000000Z","01:00:00"]]`},
		{"datatable (k: string, d: dynamic) ['a', dynamic([1, 2]), 'b', dynamic({'x': 5}), 'c', dynamic([]), 'd', dynamic(null)] | mv-expand with_itemindex=i d | project k, i, d", `["a",0,1] ["a",1,2] ["b",0,{"x":5}] ["d",0,null]`},
		{"print a = dynamic([1, 2, 3]), b = dynamic(['x', 'y']) | mv-expand a to typeof(long), b to typeof(string) | project a + 1, b", `[2,"x"] [3,"y"] [4,""]`},
		{"print d = dynamic({'x': 1, 'y': 'two'}) | mv-expand kind=array d | project d[0], d[1]", `["x",1] ["y","two"]`},
		{"print 'a' in (dynamic(['a', 'b'])), 5 in (dynamic([1, 5])), 'A' in~ (dynamic(['a'])), 'x' !in (dynamic([])), 'a b' has_all (dynamic(['a', 'b'])), tostring(1) in (dynamic([1]))", "[true,true,true,true,true,true]"},
		{"print iff(true, 1, 'a'), iff(false, dynamic({'a': 1}).a, 'x'), case(true, dynamic([1]), dynamic([2]))", `[1,"x",[1]]`},
		{"print s = dynamic([null, 2, null, 4]) | project series_fill_forward(s), series_fill_backward(s), series_fill_const(s, 0), series_add(s, s), series_stats_dynamic(s).max", "[[null,2,2,4],[2,2,4,4],[0,2,0,4],[null,4,null,8],4]"},
		// texts
		{`print countof('The cat sat on the mat', 'at'), countof('aaa', 'aa'), countof('a1b22', @'\d', 'regex'), replace_regex('a1b2', @'(\d)', @'<\1>'), extract_all(@'(\w)(\d)', 'a1b2'), trim(@'\s+', '  a b '), trim_end('-', 'a--')`, `[3,2,3,"a<1>b<2>",[["a","1"],["b","2"]],"a b","a-"]`},
		{"print parse_url('https://user:pw@host.example:8080/p/a?x=1&y=two#end').Port, parse_url('https://h/p?api-version=2024')['Query Parameters']['api-version'], url_decode('a%20b'), base64_decode_tostring(base64_encode_tostring('é')), reverse('abc'), strrep('ab', 3, '-'), strcat_delim('/', 1, 'a')", `["8080","2024","a b","é","cba","ab-ab-ab","1/a"]`},
		{"print indexof('abcabc', 'c', 3), indexof('abcabc', 'c', 0, 2), indexof('abcabc', 'b', 0, -1, 2), split('a/b/c', '/', 1), format_bytes(1536, 1), format_bytes(10), ipv4_is_private('172.20.1.1'), ipv4_is_in_range('10.1.2.3', '10.1.0.0/16'), ipv4_is_private('8.8.8.8')", `[5,-1,4,["b"],"1.5 KB","10 Bytes",true,true,false]`},
		{"print t = 'id=42;name=x y;rest' | parse t with * 'id=' id: long ';name=' name ';' rest | project id, name, rest", `[42,"x y","rest"]`},
		{"print t = 'id=no;' | parse t with 'id=' id: long ';' | project isnull(id)", "[true]"},
		{"datatable (t: string) ['a=1', 'b'] | parse-where t with 'a=' n: long | project n", "[1]"},
		{"print a = 'x', b = h'secret', c = ```two``` , d = '\\u00e9', e = 0x1F, f = guid(74be27de-1e4e-49d9-b579-fe0b331d3642)", `["x","secret","two","é",31,"74be27de-1e4e-49d9-b579-fe0b331d3642"]`},
		// sources, windows and functions
		{"range x from 1 to 2 step 0.5 | summarize make_list(x)", "[[1,1.5,2]]"},
		{"datatable (a: long) [3, 1, 2] | sort by a asc | extend p = prev(a), n = next(a), c = row_cumsum(a), r = row_number(10), d = row_rank_dense(a)", "[1,null,2,1,10,1] [2,1,3,3,11,2] [3,2,null,6,12,3]"},
		{"datatable (g: string, a: long) ['x', 1, 'x', 2, 'y', 5] | serialize c = row_cumsum(a, g != prev(g))", `["x",1,1] ["x",2,3] ["y",5,5]`},
		{"let add = (a: long, b: long = 10) { a + b }; let twice = (x: long) { add(x, x) }; print add(1), add(1, 2), twice(4)", "[11,3,8]"},
		{"let f = (T: (a: long), least: long) { T | where a >= least }; f((range a from 1 to 5 step 1), 4) | summarize make_list(a)", "[[4,5]]"},
		{"let v = view () { range a from 1 to 3 step 1 }; union v, (print a = 9) | summarize sum(a)", "[15]"},
		{"print bin_at(6.5, 2.5, 7), bin_at(datetime(2026-11-22 10:05), 1h, datetime(2026-11-22 00:30)), make_timespan(1, 12, 30, 55.5) / 1s, make_datetime(2026, 11, 22), unixtime_seconds_todatetime(1546300800)", `[4.5,"2026-11-22T09:30:00Z",131455.5,"2026-11-22T00:00:00Z","2019-01-01T00:00:00Z"]`},
		{"print 5 == '5', '5' != 6, true == 1, 'true' == true", "[true,true,true,true]"},
		{"let n = toint('3'); requests | sort by e2e_ms asc | take n | summarize make_list(id, n - 1)", `[["req_0","req_1"]]`},
		{"let n = toscalar(requests | where status == 429 | count); requests | top n by e2e_ms asc | count", "[3]"},
		{"let n = 1 + 1; requests | sample n | count", "[2]"},
		{"print round(7), ceiling(7), round(2.5), abs(-1h) / 1m, sign(-3)", "[7,7,3,60,-1]"},
	} {
		if got := ask(t, glob, tt.query); got != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.query, got, tt.want)
		}
	}
}

// TestSortedLists has more rows than one thread takes.
func TestSortedLists(t *testing.T) {
	q, err := kql.Translate(instant, "requests | sort by e2e_ms asc | summarize ids = make_list(e2e_ms)", kql.Records())
	if err != nil {
		t.Fatal(err)
	}
	all := "SELECT * REPLACE (hash(range) % 1000000 AS e2e_ms) FROM (SELECT * EXCLUDE e2e_ms, 0.0 AS e2e_ms FROM empty), range(400000)"
	args := []string{"-view", "empty=SELECT " + strings.TrimSuffix(strings.TrimPrefix(kql.Records()[0].EmptyView(), "SELECT "), " WHERE false"), "-view", "requests=" + all}
	var out bytes.Buffer
	sorted := strings.TrimSuffix(q.SQL, `SELECT "ids" FROM "kql_2"`) + `SELECT "ids" = list_sort("ids"), len("ids") FROM (SELECT from_json("ids", '["DOUBLE"]') AS "ids" FROM "kql_2")`
	if err := run(t.Context(), args, strings.NewReader(sorted), &out); err != nil {
		t.Fatal(err)
	}
	if _, rows, _ := strings.Cut(out.String(), "\n"); rows != "[true,400000]\n" {
		t.Errorf("got %s", rows)
	}
}

// TestShippedQueries runs every file of queries/.
func TestShippedQueries(t *testing.T) {
	glob := written(t)
	files, err := filepath.Glob("../queries/*.kql")
	if err != nil || len(files) < 12 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(text), "// ") {
			t.Errorf("%s does not begin with what it answers", file)
		}
		got := ask(t, glob, string(text))
		t.Log(filepath.Base(file), got)
		if got == "" {
			t.Errorf("%s has no answer", file)
		}
	}
}

// TestConfined tries to leave the given files, to write, and to undo that.
func TestConfined(t *testing.T) {
	glob := written(t)
	outside := filepath.Join(t.TempDir(), "secret.csv")
	if err := os.WriteFile(outside, []byte("a\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{
		"SELECT * FROM read_csv('" + outside + "')",
		"SELECT * FROM '/etc/passwd'",
		"SELECT * FROM read_parquet('https://127.0.0.1:1/x.parquet')",
		"COPY (SELECT 1) TO '" + outside + "'",
		"SET enable_external_access = true",
		"SET memory_limit = '10GB'",
		"INSTALL httpfs",
		"LOAD httpfs",
		"ATTACH '" + outside + ".db'",
	} {
		if out, err := runSQL(t, glob, query); err == nil {
			t.Errorf("%s was done: %s", query, out)
		}
	}
	if got, err := os.ReadFile(outside); err != nil || string(got) != "a\n1\n" {
		t.Errorf("the file outside is now %q, %v", got, err)
	}
}

// TestFails has errors with their reasons.
func TestFails(t *testing.T) {
	if _, err := runSQL(t, filepath.Join(t.TempDir(), "*.parquet"), "SELECT 1"); err == nil || !strings.Contains(err.Error(), "No files found") {
		t.Errorf("without files: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, nil, strings.NewReader("SELECT 1"), &bytes.Buffer{}); err == nil {
		t.Error("a canceled query was answered")
	}
	ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	const endless = "SELECT sum(a.range * b.range % 7) FROM range(10000000) a, range(10000000) b"
	if err := run(ctx, nil, strings.NewReader(endless), &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "cancel") && !strings.Contains(err.Error(), "deadline") {
		t.Errorf("an endless query that was canceled: %v", err)
	}
	if _, err := runSQL(t, written(t), "SELECT list(range) FROM range(1000000000)"); err == nil || !strings.Contains(err.Error(), "Out of Memory") {
		t.Errorf("a query that needs more memory than it may: %v", err)
	}
}
