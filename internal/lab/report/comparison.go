package report

import (
	"encoding/json"
	"fmt"
	"io"
)

// Comparison is how several policies did on the same traffic. The first one is
// what the others are compared with; the last is the one that is proposed. Its
// JSON is stable and documented in docs/SIMULATE.md.
type Comparison struct {
	Title    string    `json:"title,omitempty"` // the traffic, in words
	Policies []Summary `json:"policies"`
	// Depths shows how much the depth of the PTU meter matters, which is not
	// documented. In the order of depth.
	Depths []Depth `json:"depths,omitempty"`
	// Sweep holds the frontiers: what each value of a parameter gives.
	Sweep []Point `json:"sweep,omitempty"`

	Seed        uint64  `json:"seed"`
	Seeds       int     `json:"seeds"`
	Requests    int64   `json:"requests"`     // tries simulated, over all that is compared
	WallSeconds float64 `json:"wall_seconds"` // that all of it took
}

// Depth is what each policy gives when the PTU meters are so deep.
type Depth struct {
	Seconds  float64       `json:"depth_s"` // drain time that equals 100% utilization
	Policies []DepthPolicy `json:"policies"`
}

// DepthPolicy is one policy at one depth.
type DepthPolicy struct {
	Name          string  `json:"name"`
	Rate408       float64 `json:"rate_408"`
	Rate429       float64 `json:"rate_429"`
	TruncatedRate float64 `json:"truncated_rate"`
}

// Point is what one value of a parameter gives: a point of its frontier.
type Point struct {
	Parameter string  `json:"parameter"` // such as "cap" or "quantile"
	Value     float64 `json:"value"`

	Rate408                    float64  `json:"rate_408"`
	Rate429                    float64  `json:"rate_429"`
	TruncatedRate              float64  `json:"truncated_rate"`
	CompletionTokensPerRequest float64  `json:"completion_tokens_per_request"`
	GoodputRPS                 float64  `json:"goodput_rps"`
	CostUSDPer1K               *float64 `json:"cost_usd_per_1k,omitempty"`
}

// NewComparison returns the comparison of some policies. Requests and
// WallSeconds are those of their seeds added up; a driver that runs them in
// parallel sets the time that it took itself.
func NewComparison(title string, policies ...Summary) Comparison {
	c := Comparison{Title: title, Policies: policies}
	for i, s := range policies {
		if i == 0 {
			c.Seed = s.Seed
		}
		n := max(s.Seeds, 1)
		c.Seeds = max(c.Seeds, n)
		c.Requests += s.Requests * int64(n)
		c.WallSeconds += s.WallSeconds * float64(n)
	}
	return c
}

// DepthOf returns what policies gave at one depth of the PTU meter, in seconds.
func DepthOf(seconds float64, policies ...Summary) Depth {
	d := Depth{Seconds: seconds}
	for _, s := range policies {
		d.Policies = append(d.Policies, DepthPolicy{
			Name: s.Name, Rate408: s.Rate408, Rate429: s.Rate429, TruncatedRate: s.TruncatedRate,
		})
	}
	return d
}

// PointOf returns the point of a frontier that a policy with that value of the
// parameter gave.
func PointOf(parameter string, value float64, s Summary) Point {
	return Point{
		Parameter: parameter, Value: value,
		Rate408: s.Rate408, Rate429: s.Rate429, TruncatedRate: s.TruncatedRate,
		CompletionTokensPerRequest: s.CompletionTokensPerRequest,
		GoodputRPS:                 s.GoodputRPS, CostUSDPer1K: s.CostUSDPer1K,
	}
}

// WriteJSON writes the comparison as one indented object.
func WriteJSON(w io.Writer, c Comparison) error {
	if c.Policies == nil {
		c.Policies = []Summary{}
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(c); err != nil {
		return fmt.Errorf("write the comparison: %w", err)
	}
	return nil
}
