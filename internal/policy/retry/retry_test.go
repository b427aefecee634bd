package retry_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/retry"
	"pgregory.net/rapid"
)

const ms = time.Millisecond

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func TestClassify(t *testing.T) {
	tests := []struct {
		want     spillway.FailureClass
		statuses []int
	}{
		{spillway.FailureNone, []int{200, 201, 204}},
		{spillway.FailureRefused, []int{429}},
		{spillway.FailureSlow, []int{408}},
		{spillway.FailureBroken, []int{0, 302, 499, 500, 501, 502, 503, 504, 529, 600}},
		{spillway.FailureInvalid, []int{400, 401, 403, 404, 409, 413, 415, 422, 431}},
	}
	for _, tt := range tests {
		for _, status := range tt.statuses {
			if got := retry.Classify(status); got != tt.want {
				t.Errorf("Classify(%d) = %v, want %v", status, got, tt.want)
			}
		}
	}
}

func TestTimeoutClass(t *testing.T) {
	tests := []struct {
		name string
		in   retry.Timeout
		want spillway.FailureClass
	}{
		{"no token", retry.Timeout{LimitTBT: 30 * ms}, spillway.FailureSlow},
		{"flowing", retry.Timeout{Tokens: 1900, TBT: 25 * ms, LimitTBT: 30 * ms}, spillway.FailureOversized},
		{"trickling", retry.Timeout{Tokens: 90, TBT: 600 * ms, LimitTBT: 30 * ms}, spillway.FailureSlow},
		{"nothing learned", retry.Timeout{Tokens: 90, TBT: 600 * ms}, spillway.FailureOversized},
		{"blind, too long", retry.Timeout{Unstreamed: true, Granted: 8000, Budget: 1955}, spillway.FailureOversized},
		{"blind, no limit", retry.Timeout{Unstreamed: true, Budget: 1955}, spillway.FailureOversized},
		{"blind, would have fitted", retry.Timeout{Unstreamed: true, Granted: 500, Budget: 1955}, spillway.FailureSlow},
		{"blind, unbounded", retry.Timeout{Unstreamed: true}, spillway.FailureSlow},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.in.Class(); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}

func TestClampRetryAfter(t *testing.T) {
	tests := []struct{ in, want time.Duration }{
		{-1, time.Second},
		{0, 50 * ms},
		{2 * time.Second, 2 * time.Second},
		{24 * time.Hour, time.Minute},
	}
	for _, tt := range tests {
		if got := retry.ClampRetryAfter(tt.in); got != tt.want {
			t.Errorf("ClampRetryAfter(%v) = %v, want %v", tt.in, got, tt.want)
		}
	}
}

func TestHedgeDelay(t *testing.T) {
	tests := []struct{ in, want time.Duration }{
		{0, 10 * time.Second},
		{ms, 100 * ms},
		{800 * ms, 800 * ms},
		{time.Minute, 10 * time.Second},
	}
	for _, tt := range tests {
		if got := retry.HedgeDelay(tt.in); got != tt.want {
			t.Errorf("HedgeDelay(%v) = %v, want %v", tt.in, got, tt.want)
		}
	}
}

func TestAttempts(t *testing.T) {
	for max, want := range map[int]int{-1: 4, 0: 4, 1: 1, 8: 8, 100: spillway.MaxAttempts} {
		if got := (retry.Config{MaxAttempts: max}).Attempts(); got != want {
			t.Errorf("MaxAttempts %d: got %d, want %d", max, got, want)
		}
	}
}

func TestBackoff(t *testing.T) {
	tests := []struct {
		cfg      retry.Config
		attempt  int
		low, top time.Duration // at rnd 0 and 1
	}{
		{retry.Config{}, 0, 50 * ms, 100 * ms},
		{retry.Config{}, 1, 50 * ms, 100 * ms},
		{retry.Config{}, 2, 100 * ms, 200 * ms},
		{retry.Config{}, 5, 800 * ms, 1600 * ms},
		{retry.Config{}, 6, time.Second, 2 * time.Second},
		{retry.Config{}, 1 << 30, time.Second, 2 * time.Second},
		{retry.Config{BaseDelay: time.Minute}, 1, time.Second, 2 * time.Second},
		{retry.Config{BaseDelay: 10 * ms, MaxDelay: 30 * ms}, 3, 15 * ms, 30 * ms},
	}
	for _, tt := range tests {
		low, top := tt.cfg.Backoff(tt.attempt, 0), tt.cfg.Backoff(tt.attempt, 1)
		if low != tt.low || top != tt.top {
			t.Errorf("%+v attempt %d: got %v–%v, want %v–%v", tt.cfg, tt.attempt, low, top, tt.low, tt.top)
		}
	}
}

func TestBudgetReserve(t *testing.T) {
	b := retry.NewBudget(retry.Config{})
	if got := b.Balance(epoch); got != 100 { // 10 per second for 10 s
		t.Fatalf("balance %v, want 100", got)
	}
	for i := range 50 {
		if !b.Withdraw(epoch, retry.CostTimeout) {
			t.Fatalf("withdrawal %d refused", i)
		}
	}
	if b.Withdraw(epoch, retry.CostRetry) {
		t.Fatal("overdrawn")
	}
	if b.Withdraw(epoch.Add(10*time.Second), retry.CostRetry) {
		t.Fatal("withdrawals expired within the window")
	}
	if later := epoch.Add(10500 * ms); !b.Withdraw(later, retry.CostRetry) {
		t.Fatalf("balance %v after the window", b.Balance(later))
	}
}

func TestBudgetEarnsByRatio(t *testing.T) {
	b := retry.NewBudget(retry.Config{MinPerSecond: -1})
	for range 9 {
		b.Deposit(epoch)
	}
	if !b.Withdraw(epoch, retry.CostRetry) || b.Withdraw(epoch, retry.CostRetry) {
		t.Fatalf("9 requests pay for one retry; balance %v", b.Balance(epoch))
	}
	b.Deposit(epoch)
	if b.Withdraw(epoch.Add(10*time.Second), retry.CostRetry) {
		t.Fatal("deposits live longer than the window")
	}
	if retry.NewBudget(retry.Config{MinPerSecond: -1, Ratio: -1}).Withdraw(epoch, retry.CostRetry) {
		t.Fatal("a budget of nothing pays")
	}
}

// The budget's promise, checked against the whole history.
func TestBudgetNeverOvershoots(t *testing.T) {
	type entry struct {
		at     time.Time
		amount float64
	}
	rapid.Check(t, func(t *rapid.T) {
		cfg := retry.Config{
			Ratio:        rapid.SampledFrom([]float64{-1, 0.2, 0.25, 1}).Draw(t, "ratio"),
			MinPerSecond: rapid.SampledFrom([]float64{-1, 0.5, 2}).Draw(t, "min"),
			Window:       time.Duration(rapid.IntRange(1, 10).Draw(t, "window")) * time.Second,
		}
		b := retry.NewBudget(cfg)
		reserve := max(cfg.MinPerSecond, 0) * cfg.Window.Seconds()
		now := epoch
		var deposits, withdrawals []entry
		since := func(list []entry) (sum float64) {
			for _, e := range list {
				if now.Sub(e.at) < cfg.Window {
					sum += e.amount
				}
			}
			return sum
		}
		for range rapid.IntRange(1, 300).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 700).Draw(t, "wait")) * ms)
			if rapid.Bool().Draw(t, "request") {
				b.Deposit(now)
				deposits = append(deposits, entry{now, 1})
			}
			cost := float64(rapid.IntRange(1, 2).Draw(t, "cost"))
			if b.Withdraw(now, cost) {
				withdrawals = append(withdrawals, entry{now, cost})
				if spent, earned := since(withdrawals), reserve+max(cfg.Ratio, 0)*since(deposits); spent > earned+1e-9 {
					t.Fatalf("withdrew %v in a window that earned %v", spent, earned)
				}
			} else if spent := since(withdrawals); spent+cost <= reserve && len(withdrawals) == 0 {
				t.Fatalf("refused %v although nothing was ever withdrawn from %v", cost, reserve)
			}
		}
	})
}

// A retry that succeeds pays for itself and another one, but saves nothing.
func TestRefund(t *testing.T) {
	b := retry.NewBudget(retry.Config{MinPerSecond: 1})
	b.Refund(epoch)
	if got := b.Balance(epoch); got != 10 {
		t.Fatalf("balance %v after a refund of nothing, want 10", got)
	}
	for range 10 {
		b.Withdraw(epoch, retry.CostRetry)
	}
	b.Refund(epoch)
	if got := b.Balance(epoch); got != 2 {
		t.Errorf("balance %v after ten retries of which one succeeded, want 2", got)
	}
	for range 10 {
		b.Refund(epoch)
	}
	if got := b.Balance(epoch); got != 10 {
		t.Errorf("balance %v after ten retries that succeeded, want 10", got)
	}
}

// A brown-out, in which half of the retries succeed, is not limited. A pool that fails
// everything is, also after a brown-out.
func TestOutageAfterBrownOut(t *testing.T) {
	for _, rate := range []int{10, 100, 1000} {
		for _, share := range []float64{0, 0.2, 0.45, 0.6, 0.9} {
			t.Run(fmt.Sprintf("%d per second, %v fail", rate, share), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(1, 2))
				b, now := retry.NewBudget(retry.Config{}), epoch
				// second returns the retries in one second, and those that were not allowed.
				second := func(failing float64) (retries, refused int) {
					for range rate {
						now = now.Add(time.Second / time.Duration(rate))
						b.Deposit(now)
						switch {
						case rng.Float64() >= failing:
						case !b.Withdraw(now, retry.CostRetry):
							refused++
						default:
							if retries++; rng.Float64() >= failing {
								b.Refund(now)
							}
						}
					}
					return retries, refused
				}
				for range 20 {
					if _, refused := second(share); share < 0.5 && refused > 0 {
						t.Fatalf("%d retries refused", refused)
					}
				}
				const outage = 15
				total := 0
				for range outage {
					retries, _ := second(1)
					total += retries
				}
				// Over whole windows the bound is exact, so that an outage may use one more.
				if most := (outage + 10) * (rate/5 + 10); total > most {
					t.Fatalf("%d retries of %d requests, want %d at most", total, outage*rate, most)
				}
			})
		}
	}
}

func BenchmarkBudget(b *testing.B) {
	budget := retry.NewBudget(retry.Config{})
	now := epoch
	b.ReportAllocs()
	for b.Loop() {
		now = now.Add(ms)
		budget.Deposit(now)
		budget.Withdraw(now, retry.CostRetry)
	}
}
