package spillway

import "time"

// Kind is how a deployment's capacity is sold, which decides how it meters.
type Kind uint8

// The kinds of deployment.
const (
	// Standard deployments have tokens and requests per minute.
	Standard Kind = iota
	// Provisioned deployments have PTUs and refuse by utilization.
	Provisioned
)

var kindNames = [...]string{"standard", "provisioned"}

// String returns the name used in records, metrics and configuration.
func (k Kind) String() string { return name(kindNames[:], uint8(k)) }

// Deployment is one addressable capacity: what the core must know of it. Where
// it is and how to authenticate is the edge's business, keyed by Name.
type Deployment struct {
	Name   string
	Model  string
	Region string
	Kind   Kind

	// Provisioned capacity. A deployment without InputTPMPerPTU or OutputRatio takes
	// the model's published figures in place of these, and of CachedRatio,
	// TokensPerSecond and Price where they are zero. A zero MeterDepth takes the
	// policy core's.
	PTU            int
	InputTPMPerPTU int           // input tokens per minute that one PTU buys
	OutputRatio    float64       // input tokens that one output token weighs
	CachedRatio    float64       // what a cached input token weighs, as a part of another's
	MeterDepth     time.Duration // drain time that equals 100% utilization

	// Standard capacity per minute; 0 means not limited.
	TPM, RPM int

	// Scope and Price are what its tokens cost. A zero price is unknown, unless the
	// published figures take its place.
	Scope Scope
	Price TokenPrice

	// TokensPerSecond is the contractual speed of one response, used while
	// measurements are thin; 0 is unknown, unless the published latency target takes
	// its place.
	TokensPerSecond float64
	// Weight is the share within a tier, relative to its neighbors; 0 is 1.
	Weight int
	// MaxInFlight bounds the attempts at one time; 0 means not limited.
	MaxInFlight int
	// MaxOutputTokens is the largest limit that the model takes; 0 is unknown.
	MaxOutputTokens int
	// Reasoning says that hidden tokens count against the token limit, so that
	// chat takes max_completion_tokens.
	Reasoning bool
	// Sync says how synchronous requests travel, as Class.Sync does. SyncPass counts in
	// either place.
	Sync SyncMode
}

// Pool is the set of deployments that serve one model name, in spill order.
type Pool struct {
	Name   string
	Models []string   // other model names that select this pool
	Tiers  [][]string // deployment names, first tier first
	// SpillAt is the utilization (0–1 and above) at which a tier counts as
	// full; 0 takes
	// route.DefaultSpillAt.
	SpillAt float64
	// MaxTiers bounds how many tiers one request may try; 0 means all.
	MaxTiers int
}
