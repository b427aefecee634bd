package imports

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

var (
	bigRows = flag.Int("rows", 20_000, "rows of the gateway's log that TestBig writes and reads")
	bigDir  = flag.String("keep", "", "where TestBig leaves its files; nowhere by default")
)

// writeBig writes exports of so many requests: the gateway's log and that of
// tokens, in the columns of docs/IMPORT.md's queries. Rows come in no order
// that helps.
func writeBig(tb testing.TB, dir string, rows int) []string {
	tb.Helper()
	paths := []string{filepath.Join(dir, "gateway.csv"), filepath.Join(dir, "llm.csv")}
	var out [2]*bufio.Writer
	for i, path := range paths {
		f, err := os.Create(path)
		if err != nil {
			tb.Fatal(err)
		}
		defer func() {
			if err := f.Close(); err != nil {
				tb.Fatal(err)
			}
		}()
		out[i] = bufio.NewWriterSize(f, 1<<20)
		defer func() {
			if err := out[i].Flush(); err != nil {
				tb.Fatal(err)
			}
		}()
	}
	fmt.Fprintln(out[0], "TimeGenerated,CorrelationId,ResponseCode,TotalTime,BackendResponseCode,BackendTime,BackendId,BackendUrl,Url,ApimSubscriptionId,LastErrorReason,RetryCount,ClientTimeout")
	fmt.Fprintln(out[1], "TimeGenerated,CorrelationId,DeploymentName,ModelName,PromptTokens,CompletionTokens,IsStreamCompletion")
	rng := rand.New(rand.NewPCG(1, 2))
	begin := time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)
	const api = "/openai/deployments/gpt-4o-mini/chat/completions?api-version=2024-10-21"
	for i := range rows {
		at := begin.Add(time.Duration(i)*17*time.Millisecond + time.Duration(rng.IntN(1e9))).Format("2006-01-02T15:04:05.0000000Z")
		a, b := rng.Uint64(), rng.Uint64()
		id := fmt.Sprintf("%08x-%04x-%04x-%04x-%012x", a>>32, a>>16&0xffff, a&0xffff, b>>48, b&0xffffffffffff)
		account, who := []string{"aoai-eastus", "aoai-sweden"}[rng.IntN(2)], rng.IntN(40)
		status, tokens := 200, 20+rng.IntN(900)
		took := 300 + 9*tokens
		switch rng.IntN(100) {
		case 0:
			status, took = 429, 5
		case 1:
			status, took = 408, 60000+rng.IntN(40)
		}
		fmt.Fprintf(out[0], "%s,%s,%d,%d,%d,%d,%s,https://%s.openai.azure.com%s,https://api.contoso.com%s,team-%d,,%d,600\n",
			at, id, status, took+2, status, took, account, account, api, api, who, rng.IntN(2))
		if status == 200 {
			fmt.Fprintf(out[1], "%s,%s,gpt-4o-mini,gpt-4o-mini,%d,%d,%t\n", at, id, 100+rng.IntN(3000), tokens, rng.IntN(2) == 0)
		}
	}
	return paths
}

// TestBig reads many rows; with -rows 5000000 it is the measurement that
// docs/IMPORT.md quotes: go test ./internal/diagnose/imports -run TestBig -rows 5000000 -v.
func TestBig(t *testing.T) {
	dir := *bigDir
	if dir == "" {
		dir = t.TempDir()
	}
	paths := writeBig(t, dir, *bigRows)
	cpu := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	started, spent := time.Now(), cpu()
	im, err := Read(t.Context(), paths, Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := im.Close(); err != nil {
			t.Error(err)
		}
	}()
	t.Logf("%d rows read and joined in %v, %v of CPU", *bigRows, time.Since(started), cpu()-spent)
	t.Logf("%d bytes kept of each request", im.requests.end/int64(*bigRows))
	n, last := 0, time.Time{}
	for o, err := range im.Observations(time.Time{}, time.Time{}) {
		if err != nil {
			t.Fatal(err)
		}
		if o.Time.Before(last) {
			t.Fatalf("%v comes after %v", o.Time, last)
		}
		last = o.Time
		n++
	}
	if n != *bigRows {
		t.Errorf("%d requests, want %d", n, *bigRows)
	}
	t.Logf("and ranged over: %v, %v of CPU", time.Since(started), cpu()-spent)
}
