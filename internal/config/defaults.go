package config

import (
	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/defaults"
	"github.com/spillway-ai/spillway/internal/policy"
	"github.com/spillway-ai/spillway/internal/policy/admit"
	"github.com/spillway-ai/spillway/internal/policy/breaker"
	"github.com/spillway-ai/spillway/internal/policy/budget"
	"github.com/spillway-ai/spillway/internal/policy/retry"
	"github.com/spillway-ai/spillway/internal/policy/route"
	"github.com/spillway-ai/spillway/internal/policy/speed"
)

// A default belongs to what uses it. Groups whose options a policy or an edge
// uses take its values here; the others state theirs in the tag default.
type defaulter interface {
	// defaults returns a group of the same type. Zero fields have their tag's
	// default, or none.
	defaults() any
}

func (Retry) defaults() any   { return Retry(retry.Defaults()) }
func (Breaker) defaults() any { return Breaker(breaker.Defaults()) }
func (Queue) defaults() any   { return Queue(admit.Defaults()) }
func (Speed) defaults() any   { return Speed(speed.Defaults()) }
func (Spill) defaults() any   { return Spill{At: route.DefaultSpillAt} }
func (Routing) defaults() any { return Routing{MaxHops: policy.DefaultMaxHops} }

func (Class) defaults() any {
	return Class{
		MaxWait: policy.DefaultMaxWait, SilenceTimeout: policy.DefaultSilenceTimeout, Operations: spillway.DefaultOperations(),
	}
}

func (Budget) defaults() any {
	return Budget{Quantile: budget.DefaultQuantile, Margin: budget.DefaultMargin}
}

func (Server) defaults() any {
	return Server{
		MaxBodyBytes: defaults.MaxBodyBytes, MaxHeaderBytes: defaults.MaxHeaderBytes, MaxAnswerBytes: defaults.MaxAnswerBytes,
		MaxErrorBytes: defaults.MaxErrorBytes, MaxEventBytes: defaults.MaxEventBytes, MaxInFlight: defaults.MaxInFlight,
		HeaderTimeout: defaults.ReadHeaderTimeout, BodyTimeout: defaults.BodyTimeout, MinBodyRate: defaults.MinBodyRate,
		IdleTimeout: defaults.IdleTimeout, WriteTimeout: defaults.WriteTimeout, Heartbeat: defaults.Heartbeat,
		FirstHeartbeat: defaults.FirstHeartbeat,
	}
}

func (Deployment) defaults() any { return Deployment{ConnectTimeout: defaults.ConnectTimeout} }
func (Records) defaults() any    { return Records{Queue: defaults.Queue} }
func (Store) defaults() any      { return Store{SealAfter: defaults.SealAfter, Queue: defaults.Queue} }

func (OTLP) defaults() any {
	return OTLP{
		Protocol: defaults.OTLPProtocol, Timeout: defaults.OTLPTimeout, Interval: defaults.OTLPInterval, Queue: defaults.Queue,
	}
}
