package telemetry

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	boardFile  = "../../deploy/grafana/spillway.json"
	alertsFile = "../../deploy/prometheus/alerts.yml"
	alertsTest = "../../deploy/prometheus/alerts_test.yml"
	scrapeFile = "../../deploy/prometheus/prometheus.yml"
	metricsDoc = "../../docs/METRICS.md"
)

// panel is what the tests read of a panel.
type panel struct {
	ID          int     `json:"id"`
	Type        string  `json:"type"`
	Title       string  `json:"title"`
	Description string  `json:"description"`
	Panels      []panel `json:"panels"`
	Targets     []struct {
		Expr string `json:"expr"`
	} `json:"targets"`
	GridPos struct{ H, W, X, Y int } `json:"gridPos"`
}

// board reads the dashboard.
func board(t *testing.T) []panel {
	t.Helper()
	var b struct {
		UID    string  `json:"uid"`
		Title  string  `json:"title"`
		Panels []panel `json:"panels"`
	}
	if err := json.Unmarshal([]byte(read(t, boardFile)), &b); err != nil {
		t.Fatal(err)
	}
	if b.UID == "" || b.Title == "" || len(b.Panels) == 0 {
		t.Fatal("the dashboard has no uid, title or panels")
	}
	return b.Panels
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// expressions are all of the dashboard.
func expressions(t *testing.T) (all []string) {
	for _, p := range board(t) {
		for _, target := range p.Targets {
			all = append(all, target.Expr)
		}
	}
	return all
}

// alertExpressions are those of the rules, whose YAML has them after expr:, on
// the same line or indented below.
func alertExpressions(t *testing.T) (all []string) {
	t.Helper()
	indent := -1 // of the expression that is being read
	for line := range strings.Lines(read(t, alertsFile)) {
		text := strings.TrimLeft(line, " ")
		depth := len(line) - len(text)
		rest, begins := strings.CutPrefix(text, "expr:")
		switch {
		case begins:
			all = append(all, strings.TrimPrefix(strings.TrimSpace(rest), "|"))
			indent = depth
		case indent >= 0 && (depth > indent || strings.TrimSpace(text) == ""):
			all[len(all)-1] += "\n" + text
		default:
			indent = -1
		}
	}
	return all
}

var (
	quoted    = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)
	selectors = regexp.MustCompile(`\{[^}]*\}|\[[^\]]*\]`)
	labelList = regexp.MustCompile(`\b(?:by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)`)
	word      = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
	function  = regexp.MustCompile(`[a-z_]+\s*\(`)
	keyword   = regexp.MustCompile(`^(?:and|or|unless|by|bool|offset|group_left|group_right)$`)
)

// metricsOf are the names of metrics in PromQL: the words that are no label,
// text, function or keyword.
func metricsOf(expr string) []string {
	expr = quoted.ReplaceAllString(expr, "")
	expr = selectors.ReplaceAllString(expr, " ")
	expr = labelList.ReplaceAllString(expr, " ")
	expr = function.ReplaceAllString(expr, "(")
	found := map[string]bool{}
	for _, name := range word.FindAllString(expr, -1) {
		if !keyword.MatchString(name) {
			found[name] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

func TestMetricsOf(t *testing.T) {
	for expr, want := range map[string][]string{
		`sum by (pool, class) (rate(a_total{pool=~"$pool", x="b_total{"}[5m])) / on (pool) group_left sum(rate(c[$__rate_interval])) > 0.5`: {"a_total", "c"},
		`histogram_quantile(0.99, sum by (le) (rate(d_bucket[1m])))`:                                                                        {"d_bucket"},
		"x:y:ratio_rate1h > 14.4 * 0.01\n and up{job=\"z\"} == 0 or count by (pool) (e)":                                                    {"e", "up", "x:y:ratio_rate1h"},
	} {
		if got := metricsOf(expr); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", expr, got, want)
		}
	}
}

// family is the name under which a series is documented.
func family(name string) string {
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if f, ok := strings.CutSuffix(name, suffix); ok {
			return f
		}
	}
	return name
}

// used are the metrics of the board and the alerts, besides those that are
// recorded there and that Prometheus itself makes.
func used(t *testing.T) []string {
	t.Helper()
	all := map[string]bool{}
	for _, expr := range append(expressions(t), alertExpressions(t)...) {
		names := metricsOf(expr)
		if len(names) == 0 {
			t.Errorf("no metric in %s", expr)
		}
		for _, name := range names {
			if name != "up" && !strings.Contains(name, ":") {
				all[name] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// documented says whether docs/METRICS.md names a metric.
func documented(doc, name string) bool {
	if strings.HasPrefix(name, "process_") || strings.HasPrefix(name, "go_") {
		return strings.Contains(doc, "`process_*`")
	}
	return strings.Contains(doc, "| `"+family(name)+"` |")
}

func TestBoard(t *testing.T) {
	ids, titles := map[int]bool{}, map[string]bool{}
	type square struct{ x, y int }
	taken := map[square]string{}
	for _, p := range board(t) {
		if p.ID <= 0 || ids[p.ID] {
			t.Errorf("panel %q: id %d is not its own", p.Title, p.ID)
		}
		ids[p.ID] = true
		if p.Title == "" || titles[p.Title] {
			t.Errorf("panel %d: title %q is not its own", p.ID, p.Title)
		}
		titles[p.Title] = true
		if p.Type != "row" && (p.Description == "" || len(p.Targets) == 0) {
			t.Errorf("panel %q says nothing", p.Title)
		}
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := square{p.GridPos.X + x, p.GridPos.Y + y}
				if taken[at] != "" || at.x >= 24 {
					t.Errorf("panel %q lies over %q at %v", p.Title, taken[at], at)
				}
				taken[at] = p.Title
			}
		}
	}
	doc := read(t, metricsDoc)
	for _, name := range used(t) {
		if !documented(doc, name) {
			t.Errorf("docs/METRICS.md does not list %s", family(name))
		}
	}
	if documented(doc, "spillway_nothing_total") {
		t.Error("a metric that does not exist counts as documented")
	}
}
