package telemetry

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tool is prometheus or promtool: of PROMETHEUS_DIR, of setup.sh, or the
// machine's.
func tool(t *testing.T, name string) string {
	t.Helper()
	at := filepath.Join(cmp.Or(os.Getenv("PROMETHEUS_DIR"), "../../.cache/prometheus/usr/bin"), name)
	if _, err := os.Stat(at); err == nil {
		return at
	}
	at, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("there is no %s: make setup", name)
	}
	return at
}

// run runs a tool and demands that it is content.
func run(t *testing.T, name, input string, args ...string) string {
	t.Helper()
	cmd := exec.Command(tool(t, name), args...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%s %v: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// The rules are valid and fire when they should, and not otherwise.
func TestAlerts(t *testing.T) {
	run(t, "promtool", "", "check", "rules", alertsFile)
	run(t, "promtool", "", "check", "config", scrapeFile)
	run(t, "promtool", "", "test", "rules", alertsTest)
	tests := read(t, alertsTest)
	for line := range strings.Lines(read(t, alertsFile)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "- alert: "); ok && !strings.Contains(tests, "alertname: "+name+"\n") {
			t.Errorf("no test of the alert %s in which it fires", name)
		}
	}
}

// A real Prometheus scrapes a gateway on its demonstration fleet, has every
// metric that the dashboard and the alerts ask for, and understands each of
// their expressions.
func TestPrometheus(t *testing.T) {
	g := serve(t, "--store", t.TempDir())
	for range 3 {
		if status, _ := g.ask("gpt-4o-mini", nil); status != 200 {
			t.Fatalf("status %d", status)
		}
	}
	if out := run(t, "promtool", get(g.admin+"/metrics"), "check", "metrics"); strings.TrimSpace(out) != "" {
		t.Errorf("promtool check metrics: %s", out)
	}
	p := startPrometheus(t, strings.TrimPrefix(g.admin, "http://"))
	eventually(t, "Prometheus has the requests", func() bool {
		return p.value(`sum(spillway_requests_total{job="spillway", outcome="ok"})`) == "3"
	})
	for _, name := range used(t) {
		if got := p.value("count(" + name + ")"); got == "" {
			t.Errorf("Prometheus has no %s", name)
		}
	}
	replace := strings.NewReplacer("$__rate_interval", "1m", "$pool", ".*", "$class", ".*", "$instance", ".*")
	for _, expr := range append(expressions(t), alertExpressions(t)...) {
		if _, err := p.query(replace.Replace(expr)); err != nil {
			t.Errorf("%s: %v", expr, err)
		}
	}
	for expr, want := range map[string]string{
		"sum(spillway_attained_total)":                                   "3",
		`count(spillway_deployment_state{state="closed"} == 1)`:          "4",
		`count(ALERTS{alertname=~"Spillway.*"}) or vector(0)`:            "0",
		`count(spillway_records_dropped_total{output="store"} == 0)`:     "1",
		`sum(gen_ai_server_time_to_first_token_seconds_count{class=""})`: "",
	} {
		if got := p.value(expr); got != want {
			t.Errorf("%s is %q, want %q", expr, got, want)
		}
	}
	if rules := get(p.url + "/api/v1/rules"); strings.Count(rules, `"type":"alerting"`) != strings.Count(read(t, alertsFile), "- alert:") || strings.Contains(rules, `"health":"err"`) {
		t.Errorf("rules: %s", rules)
	}
}

type prometheus struct {
	*program
	url string
}

// startPrometheus starts one that scrapes a gateway every second, by the
// configuration of deploy.
func startPrometheus(t *testing.T, target string) *prometheus {
	t.Helper()
	alerts, err := filepath.Abs(alertsFile)
	if err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer("127.0.0.1:8081", target, "15s", "1s", "alerts.yml", alerts).Replace(read(t, scrapeFile))
	dir := t.TempDir()
	path := filepath.Join(dir, "prometheus.yml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	address, _, err := freeAddresses()
	if err != nil {
		t.Fatal(err)
	}
	p := &prometheus{url: "http://" + address}
	p.program = start(t, tool(t, "prometheus"), "--config.file="+path, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--log.level=warn")
	eventually(t, "Prometheus is ready", func() bool { return get(p.url+"/-/ready") != "" })
	return p
}

// sample is one series at one instant.
type sample struct {
	Value [2]any `json:"value"`
}

// query asks an instant query.
func (p *prometheus) query(expr string) ([]sample, error) {
	text := get(p.url + "/api/v1/query?query=" + url.QueryEscape(expr))
	var answer struct {
		Data struct {
			Result []sample `json:"result"`
		} `json:"data"`
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return nil, fmt.Errorf("Prometheus did not answer the query: %w", err)
	}
	return answer.Data.Result, nil
}

// value is the only value of a query; "" when there is none.
func (p *prometheus) value(expr string) string {
	got, err := p.query(expr)
	if err != nil {
		p.t.Errorf("%s: %v", expr, err)
		return ""
	}
	if len(got) != 1 {
		return ""
	}
	return fmt.Sprint(got[0].Value[1])
}
