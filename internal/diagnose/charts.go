package diagnose

import "time"

// Charts are the data that the charts of a diagnosis show. Time is divided
// into intervals of one length, numbered from 0.
type Charts struct {
	Start     time.Time     // of interval 0
	Interval  time.Duration // length
	Intervals int
	Outcomes  []Outcomes // of the intervals with traffic, in order
	// Complete and Late count responses by their output tokens and duration, Late
	// those that ran out of time: where their tokens are not known, by what is
	// written in that time at the usual pace.
	Complete, Late Heatmap
	// WindowSeconds is the time that responses ran out of, and BudgetTokens what fits
	// it; 0 where that is no finding.
	WindowSeconds float64
	BudgetTokens  int
	// Pace is the time between tokens in ms, Utilization that of provisioned
	// deployments as a share, each by deployment.
	Pace, Utilization []Series
}

// Outcomes are how the tries of one interval ended.
type Outcomes struct {
	Interval                     int
	Tries, Failed, Late, Refused float64
}

// The heat map's size. Both axes have four fields per doubling: the columns
// begin at HeatTokens output tokens, the rows at HeatSeconds.
const (
	HeatColumns = 46
	HeatRows    = 38
	HeatTokens  = 8
	HeatSeconds = 1.0 / 8
)

// Heatmap counts responses by duration (row) and output tokens (column).
type Heatmap [HeatRows][HeatColumns]uint32

// Series is a deployment's value over time.
type Series struct {
	Deployment string
	Points     []Point
}

// Point is the mean of one interval.
type Point struct {
	Interval int
	Value    float64
}
