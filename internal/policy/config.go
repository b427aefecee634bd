package policy

import (
	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/policy/admit"
	"github.com/spillway-ai/spillway/internal/policy/breaker"
	"github.com/spillway-ai/spillway/internal/policy/retry"
	"github.com/spillway-ai/spillway/internal/policy/route"
	"github.com/spillway-ai/spillway/internal/policy/speed"
)

// Config is the policy of one pool. The zero value of each part means its
// documented defaults.
type Config struct {
	// Version names this policy in records.
	Version string
	Pool    spillway.Pool
	// Deployments are those that the pool's tiers name, in any order.
	Deployments []spillway.Deployment
	Retry       retry.Config
	Breaker     breaker.Config
	Queue       admit.Config
	Strategy    route.Strategy
	Speed       speed.Config
	// MaxHops bounds the gateways that a request may pass; 0 means DefaultMaxHops.
	MaxHops int
}
