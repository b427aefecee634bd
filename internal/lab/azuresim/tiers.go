package azuresim

import (
	"cmp"
	"time"

	spillway "github.com/spillway-ai/spillway"
)

// The service tiers that matter here.
const (
	tierDefault  = "default"
	tierPriority = "priority"
	tierFlex     = "flex"
)

// serviceTiers is constant: what a request may ask for. scale, fast and ultrafast
// have been seen in requests; that they are served as default is assumed.
var serviceTiers = map[string]bool{
	"": true, "auto": true, tierDefault: true, tierFlex: true, tierPriority: true,
	"scale": true, "fast": true, "ultrafast": true,
}

// chooseTier decides with which tier a request is served. g.tier is what the
// request asks for. The answer names the tier where the request or the deployment
// names one.
func (x *exchange) chooseTier(g *generation) error {
	if !serviceTiers[g.tier] {
		return &badRequest{"Invalid value: '" + g.tier + "'. Supported values are: 'auto', 'default', 'flex', 'scale', and 'priority'.", "service_tier", "invalid_value"}
	}
	x.askedTier = g.tier
	d := x.dep
	wanted := g.tier
	if wanted == "" || wanted == "auto" {
		wanted = d.traits.ServiceTier
	}
	x.namesTier = g.tier != "" || d.traits.ServiceTier != ""
	x.tier = tierDefault
	switch wanted {
	case tierFlex:
		if d.config.Kind != spillway.Standard || !flexModels[d.config.Model] {
			return &badRequest{"Invalid service_tier argument: flex is not available for this model.", "service_tier", ""}
		}
		x.tier = tierFlex
	case tierPriority:
		if d.config.Kind == spillway.Standard && priorityModels[d.config.Model] && !x.downgraded(g) {
			x.tier = tierPriority
		}
	}
	return nil
}

// downgraded reports whether a priority request is served as default: its prompt is
// too long for its model's priority, or the traffic rises too fast.
func (x *exchange) downgraded(g *generation) bool {
	if g.prompt.tokens() > longContext && shortContext[x.dep.config.Model] {
		return true
	}
	size := g.prompt.tokens() + g.maxTokens*g.choices
	x.dep.mu.Lock()
	defer x.dep.mu.Unlock()
	return x.dep.priority.steep(x.s.clock.now().Sub(x.s.clock.start), size, cmp.Or(x.dep.traits.PriorityTPM, 1_000_000))
}

// rise counts the tokens of priority requests by the minute.
type rise struct {
	minutes [riseMinutes + 1]int // by minute modulo its length
	last    int                  // the minute that was counted last
}

// riseMinutes is the period in which traffic may rise by half.
const riseMinutes = 15

// steep adds a request, and reports whether the tokens of this minute are above the
// floor and more than half above those of the minute riseMinutes ago. at is the
// time since the start.
func (r *rise) steep(at time.Duration, tokens, floor int) bool {
	minute := int(at / time.Minute)
	for ; r.last < minute; r.last++ {
		if minute-r.last > len(r.minutes) {
			r.last = minute - len(r.minutes)
		}
		r.minutes[(r.last+1)%len(r.minutes)] = 0
	}
	now := &r.minutes[minute%len(r.minutes)]
	*now += tokens
	before := r.minutes[(minute+1)%len(r.minutes)]
	return *now > floor && 2**now > 3*before
}
