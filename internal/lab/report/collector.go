package report

import (
	"math"
	"strconv"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/models"
	"github.com/spillway-ai/spillway/internal/stat"
)

// Sizes of the counters: statuses from 0 to 599, and more outcomes than exist.
const (
	statusCount  = 600
	outcomeCount = 32
)

// Collector counts the tries of one policy and one seed. It has a fixed size
// of 40 KiB whatever it counts. It is not safe for concurrent use: let each
// worker have its own and merge them.
type Collector struct {
	tries, retries int64
	calls          int64 // that ended
	good, spilled  int64
	completion     int64 // tokens
	useful         int64 // tokens

	statuses [statusCount]int64  // of tries; what is no HTTP status counts as 0
	outcomes [outcomeCount]int64 // of ended calls

	ttft, tbt stat.Histogram // of answered tries
	e2e       stat.Histogram // of answered tries and of those that ran out of time
	callE2E   stat.Histogram // of ended calls
}

// NewCollector returns an empty collector.
func NewCollector() *Collector {
	return &Collector{
		ttft: stat.NewHistogram(latencies), tbt: stat.NewHistogram(latencies),
		e2e: stat.NewHistogram(latencies), callE2E: stat.NewHistogram(latencies),
	}
}

// latencies is the resolution of durations in nanoseconds: 1/64 of the value
// from 1 µs to 4.9 h, which are the ends that others count as.
var latencies = stat.Scale{Bits: 6, Low: 10, High: 44}

// Add counts a try and keeps nothing of it. It does not allocate.
func (c *Collector) Add(t *Try) {
	c.tries++
	if t.Retry > 0 {
		c.retries++
	}
	status := t.Status
	if uint(status) >= statusCount {
		status = 0
	}
	c.statuses[status]++
	c.completion += int64(t.CompletionTokens)
	c.useful += int64(t.UsefulTokens)
	if answered(t.Outcome) {
		if t.TTFT > 0 {
			c.ttft.Add(float64(t.TTFT))
		}
		if t.TBT > 0 {
			c.tbt.Add(float64(t.TBT))
		}
	}
	if answered(t.Outcome) || t.Outcome == spillway.OutcomeTimeout {
		c.e2e.Add(float64(t.E2E)) // without timeouts, the policy with the most failures would look fastest
	}
	if t.Last {
		c.end(t)
	}
}

// end counts the try that ends its call.
func (c *Collector) end(t *Try) {
	c.calls++
	c.outcomes[min(t.Outcome, outcomeCount-1)]++
	c.callE2E.Add(float64(t.CallE2E))
	if t.Met && complete(t.Outcome) {
		c.good++
	}
	if t.Spilled && answered(t.Outcome) {
		c.spilled++
	}
}

// complete reports whether an outcome is a whole response.
func complete(o spillway.Outcome) bool {
	return o == spillway.OutcomeOK || o == spillway.OutcomeOKClientCap
}

// truncated reports whether an outcome is a response that the gateway ended.
func truncated(o spillway.Outcome) bool {
	return o == spillway.OutcomeTruncatedBudget || o == spillway.OutcomeTruncatedDeadline
}

// answered reports whether the client got a valid response, whole or in part.
func answered(o spillway.Outcome) bool { return complete(o) || truncated(o) }

// Totals is what the driver of a run knows besides the tries. The zero value is
// a run of unknown length and cost.
type Totals struct {
	Seed     uint64
	Duration time.Duration // of the offered traffic, without the time to finish what runs
	Wall     time.Duration // that the run took
	// Offered is the number of calls that were offered; 0 takes those that
	// ended.
	Offered int64
	// OracleRPS is the goodput, in calls per second, that an oracle reaches
	// with the same calls and fleet; 0 is not computed.
	OracleRPS float64

	// PTU is the provisioned throughput over all deployments; without any,
	// the next four fields mean nothing.
	PTU int
	// PTUHourUSD is the price of one PTU for one hour; 0 takes the published
	// one of global deployments.
	PTUHourUSD float64
	// PTUUtilization is the real work in provisioned capacity, mean and
	// largest; 1 is all of it.
	PTUUtilization, PTUUtilizationMax float64
	// PTUMeterP95 is the 95th percentile of what the deployments' own meters
	// show, which count reservations too.
	PTUMeterP95 float64

	// Standard is what each standard deployment was used for.
	Standard []Consumption
}

// Consumption is what one standard deployment charges for, in tokens. Cached
// is a part of Prompt.
type Consumption struct {
	Model                      string
	Price                      spillway.TokenPrice // zero is unknown
	Prompt, Cached, Completion int64
}

// Finish returns the figures of what was added.
func (c *Collector) Finish(name string, t Totals) Summary {
	offered := t.Offered
	if offered <= 0 {
		offered = c.calls
	}
	seconds := t.Duration.Seconds()
	s := Summary{
		Name: name, Seed: t.Seed, Seeds: 1, WallSeconds: t.Wall.Seconds(),
		Offered: offered, Calls: c.calls, Requests: c.tries,
		OfferedRPS:                 share(float64(offered), seconds),
		GoodputRPS:                 share(float64(c.good), seconds),
		Attainment:                 ratio(c.good, offered),
		Rate408:                    ratio(c.statuses[408], c.tries),
		Rate429:                    ratio(c.statuses[429], c.tries),
		SpilledRate:                ratio(c.spilled, c.calls),
		RetriesPerCall:             ratio(c.retries, c.calls),
		CompletionTokensPerRequest: ratio(c.completion, c.calls),
		UsefulTokensPerRequest:     ratio(c.useful, c.calls),
		Statuses:                   c.statusShares(),
		TTFT:                       percentiles(&c.ttft),
		TBT:                        percentiles(&c.tbt),
		E2E:                        percentiles(&c.e2e),
		CallE2E:                    percentiles(&c.callE2E),
	}
	c.countOutcomes(&s)
	if t.OracleRPS > 0 {
		s.OracleRatio = new(s.GoodputRPS / t.OracleRPS)
	}
	if t.PTU > 0 {
		s.PTUUtilization = new(t.PTUUtilization)
		s.PTUUtilizationMax = new(t.PTUUtilizationMax)
		s.PTUMeterP95 = new(t.PTUMeterP95)
	}
	c.price(&s, t)
	return s
}

func (c *Collector) countOutcomes(s *Summary) {
	s.Outcomes = make(map[string]float64)
	var whole, cut int64
	for i, n := range &c.outcomes {
		if n == 0 {
			continue
		}
		o := spillway.Outcome(i)
		s.Outcomes[o.String()] += ratio(n, c.calls)
		switch {
		case complete(o):
			whole += n
		case truncated(o):
			cut += n
		}
	}
	s.CompleteRate = ratio(whole, c.calls)
	s.TruncatedRate = ratio(cut, c.calls)
	s.ErrorRate = ratio(c.calls-whole-cut, c.calls)
}

// statusShares returns the share of tries by what their client got.
func (c *Collector) statusShares() map[string]float64 {
	shares := make(map[string]float64)
	for status, n := range &c.statuses {
		if n == 0 {
			continue
		}
		key := "none"
		if status > 0 {
			key = strconv.Itoa(status)
		}
		shares[key] = ratio(n, c.tries)
	}
	return shares
}

// price sets the cost: provisioned capacity for the time of the traffic,
// tokens of standard deployments. It stays unknown when a model has no price,
// and when there is nothing to pay for.
func (c *Collector) price(s *Summary, t Totals) {
	if t.PTU <= 0 && len(t.Standard) == 0 || c.calls == 0 {
		return
	}
	hour := t.PTUHourUSD
	if hour <= 0 {
		hour = models.PriceOfPTU(spillway.Global).Hour
	}
	usd := float64(max(t.PTU, 0)) * hour * t.Duration.Hours()
	for _, used := range t.Standard {
		if used.Prompt == 0 && used.Completion == 0 {
			continue
		}
		if used.Price == (spillway.TokenPrice{}) {
			s.UnpricedModels = append(s.UnpricedModels, used.Model)
		}
		usd += used.Price.Cost(spillway.TokenCount{Prompt: used.Prompt, Cached: used.Cached, Completion: used.Completion})
	}
	s.CostUSDPer1K = new(1000 * usd / float64(c.calls))
	if c.good > 0 {
		s.CostUSDPer1KGood = new(1000 * usd / float64(c.good))
	}
	s.dropUnpriced()
}

func percentiles(h *stat.Histogram) Percentiles {
	return Percentiles{P50: millis(h.Quantile(0.50)), P95: millis(h.Quantile(0.95)), P99: millis(h.Quantile(0.99))}
}

// millis returns nanoseconds in milliseconds, to the microsecond.
func millis(ns float64) float64 { return math.Round(ns/1e3) / 1e3 }

// ratio is a/b, and 0 where there is nothing to divide by.
func ratio(a, b int64) float64 { return share(float64(a), float64(b)) }

func share(a, b float64) float64 {
	if b <= 0 {
		return 0
	}
	return a / b
}
