package retry

import (
	"time"

	"github.com/spillway-ai/spillway/internal/stat"
)

// slots is the number of parts of a budget's window.
const slots = 20

// Budget limits the retries and hedges of a pool. At every withdrawal
//
//	withdrawn in the last Window ≤ MinPerSecond × Window + Ratio × deposits in the last Window
//
// holds exactly, the window being a whole number of twentieths: the twentieth
// that is only partly inside counts for withdrawals and not for deposits. Refunds
// reduce what has been withdrawn, at most to nothing: they are no savings.
// It is not safe for concurrent use.
type Budget struct {
	reserve  float64 // withdrawals that need no deposit
	ratio    float64
	requests *stat.Window // covers at most the window
	spent    *stat.Window // covers at least the window
	refunded *stat.Window // covers at most the window
}

// NewBudget returns a budget with its full reserve.
func NewBudget(cfg Config) *Budget {
	slot := max(cfg.window()/slots, 1)
	return &Budget{
		reserve:  cfg.minPerSecond() * (slots * slot).Seconds(),
		ratio:    cfg.ratio(),
		requests: stat.NewWindow(slots*slot, slots),
		spent:    stat.NewWindow((slots+1)*slot, slots+1),
		refunded: stat.NewWindow(slots*slot, slots),
	}
}

// Deposit counts one request. Retries and hedges do not deposit.
func (b *Budget) Deposit(now time.Time) { b.requests.Add(now, 1) }

// Withdraw subtracts the cost of one more attempt and reports true, or
// subtracts nothing and reports false when the balance is too low.
func (b *Budget) Withdraw(now time.Time, cost float64) bool {
	if b.Balance(now) < cost {
		return false
	}
	b.spent.Add(now, cost)
	return true
}

// refund is what a retry that succeeds gives back: its cost, and that of another one.
const refund = 2 * CostRetry

// Refund says that a retry has succeeded.
func (b *Budget) Refund(now time.Time) {
	if owed := b.spent.Sum(now) - b.refunded.Sum(now); owed > 0 {
		b.refunded.Add(now, min(refund, owed))
	}
}

// Balance is what can be withdrawn now. It is negative for a while when
// deposits have expired before the withdrawals that they paid for.
func (b *Budget) Balance(now time.Time) float64 {
	return b.reserve + b.ratio*b.requests.Sum(now) - max(b.spent.Sum(now)-b.refunded.Sum(now), 0)
}
