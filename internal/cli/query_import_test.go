package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/observe/kql"
	"github.com/spillway-ai/spillway/internal/observe/store"
)

// Rows of several exports make one table for each of Azure's, under its names
// for columns; columns that it lacks are added.
func TestReadImports(t *testing.T) {
	files := map[string]string{
		"gateway.csv":   "\"TimeGenerated [UTC]\",correlationId,responseCode,Extra_d\n\"11/22/2026, 10:00:00.000 AM\",a,200,1.5\n",
		"more.csv":      "TimeGenerated,CorrelationId,ResponseCode,Note\n2026-11-22T10:01:00Z,b,429,hello\n",
		"service.jsonl": `{"time":"2026-11-22T10:00:00Z","category":"RequestResponse","correlationId":"z","resultSignature":"200","durationMs":900,"properties":{"modelName":"gpt"}}`,
	}
	var paths []string
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	out := t.TempDir()
	im, err := readImports(t.Context(), out, paths)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := os.ReadFile(im.path("ApiManagementGatewayLogs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"CorrelationId":"a","Extra_d":"1.5","ResponseCode":"200","TimeGenerated":"2026-11-22T10:00:00Z"}`,
		`{"CorrelationId":"b","Note":"hello","ResponseCode":"429","TimeGenerated":"2026-11-22T10:01:00Z"}`,
	} {
		if !strings.Contains(string(rows), want) {
			t.Errorf("the rows lack %s:\n%s", want, rows)
		}
	}
	for _, query := range []string{
		"ApiManagementGatewayLogs | where Extra_d > 1.0 and Note == 'hello' and ResponseCode == 429",
		"AzureDiagnostics | where DurationMs > 5 and Category == 'RequestResponse' and parse_json(properties_s).modelName == 'gpt'",
		"AzureMetrics | where Average > 5",
	} {
		if _, err := kql.Translate(time.Now(), query, im.tables); err != nil {
			t.Error(err)
		}
	}
	args := strings.Join(im.args(), "\n")
	if !strings.HasPrefix(args, "-dir\n"+out+"\n") || !strings.Contains(args, "AzureMetrics=") || strings.Count(args, "read_json(") != 2 {
		t.Errorf("the analyst is told %s", args)
	}
	if _, err := kql.Translate(time.Now(), "requests | count", im.tables); err == nil {
		t.Error("an import has the store's tables")
	}
	if _, err := readImports(t.Context(), t.TempDir(), []string{filepath.Join(dir, "gateway.csv"), filepath.Join(dir, "absent.csv")}); err == nil || !strings.Contains(err.Error(), "absent.csv") {
		t.Errorf("of an absent file: %v", err)
	}
}

// Several stores are read as one.
func TestSeveralStores(t *testing.T) {
	var dirs []string
	at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for i := range 2 {
		dir := t.TempDir()
		w, err := store.NewWriter(store.Config{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		w.Record(&spillway.Record{ID: "a", Time: at.Add(time.Duration(i) * time.Hour)})
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	c := queryCommand{Store: dirs}
	q, err := kql.Translate(at, "requests | count", kql.Records())
	if err != nil {
		t.Fatal(err)
	}
	paths, err := c.files(q, t.TempDir())
	if err != nil || len(paths) < 2 {
		t.Fatalf("%v, %v", paths, err)
	}
	for i, dir := range dirs {
		found := false
		for _, p := range paths {
			found = found || strings.HasPrefix(p, dir) || strings.Contains(p, fmt.Sprintf("unsealed-%d.", i))
		}
		if !found {
			t.Errorf("%s is not read", dir)
		}
	}
	if args := strings.Join(storeArgs(paths), " "); strings.Count(args, "-table requests=") != len(paths) || !strings.Contains(args, "ApiManagementGatewayLogs=SELECT") {
		t.Errorf("the analyst is told %s", args)
	}
	var said strings.Builder
	late, err := kql.Translate(at.AddDate(0, 0, 9), "requests | where time > ago(1h)", kql.Records())
	if err != nil {
		t.Fatal(err)
	}
	if err := c.nothingThen(&said, late); err != nil || !strings.Contains(said.String(), "has records from 2026-11-22T12:00:00Z to 2026-11-22T13:00:01Z") {
		t.Errorf("%q, %v", said.String(), err)
	}
	if got := (&queryCommand{}).stores(); len(got) != 1 || got[0] != "." {
		t.Errorf("without --store: %v", got)
	}
}
