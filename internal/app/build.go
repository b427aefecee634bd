package app

import (
	"fmt"
	"slices"
	"time"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/config"
	"github.com/spillway-ai/spillway/internal/observe/genai"
	"github.com/spillway-ai/spillway/internal/proxy/gateway"
	"github.com/spillway-ai/spillway/internal/proxy/upstream"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// build turns a valid configuration into the gateway's.
func build(cfg *config.Config) (gateway.Config, error) {
	classes := cfg.TrafficClasses()
	out := gateway.Config{
		Pools:       cfg.Policies(),
		Upstreams:   make(map[string]upstream.Config, len(cfg.Deployments)),
		DefaultPool: cfg.Routing.DefaultPool,
		Limits:      limits(cfg.Server),
		KeepStreams: !cfg.Server.LeaveStreams,
		NoH2C:       !cfg.Server.H2C,
	}
	if cfg.Anonymous != "" {
		out.AnonymousClass = classes[cfg.Anonymous]
		for _, c := range cfg.Classes {
			if c.Name == cfg.Anonymous {
				out.AnonymousAccess = access(c.Operations, c.Pools)
			}
		}
	}
	for _, d := range cfg.Deployments {
		u, err := upstreamConfig(d)
		if err != nil {
			return gateway.Config{}, fmt.Errorf("deployment %s: %w", d.Name, err)
		}
		out.Upstreams[d.Name] = u
	}
	for _, c := range cfg.Callers {
		out.Callers = append(out.Callers, caller(c, classes))
	}
	return out, nil
}

func limits(s config.Server) gateway.Limits {
	return gateway.Limits{
		MaxBodyBytes: int64(s.MaxBodyBytes), MaxHeaderBytes: int(s.MaxHeaderBytes), MaxResponseBytes: int64(s.MaxAnswerBytes),
		MaxErrorBytes: int64(s.MaxErrorBytes), MaxEventBytes: int(s.MaxEventBytes), MaxInFlight: s.MaxInFlight,
		BufferBytes:       int64(s.BufferLimit),
		ReadHeaderTimeout: s.HeaderTimeout, BodyTimeout: s.BodyTimeout, MinBodyRate: int64(s.MinBodyRate),
		IdleTimeout: s.IdleTimeout, WriteTimeout: s.WriteTimeout, Heartbeat: orNever(s.Heartbeat),
		FirstHeartbeat: orNever(s.FirstHeartbeat),
	}
}

// orNever turns 0, which means never in the file, into what means never in the gateway,
// where 0 takes a default.
func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

func upstreamConfig(d config.Deployment) (upstream.Config, error) {
	target, err := wire.ParseTarget(style(d.Style), d.Endpoint, d.Deployment, d.APIVersion)
	if err != nil {
		return upstream.Config{}, err
	}
	u := upstream.Config{Target: target, DialTimeout: d.ConnectTimeout, HeaderTimeout: d.HeaderTimeout}
	if d.TLS != nil {
		u.CAFile, u.Insecure = d.TLS.CAFile, d.TLS.InsecureSkipVerify
	}
	if d.Auth != nil {
		switch {
		case d.Auth.Bearer != "":
			u.Credential = upstream.Bearer(d.Auth.Bearer.Reveal())
		case d.Auth.APIKey != "":
			u.Credential = upstream.APIKey(d.Auth.APIKey.Reveal())
		}
	}
	return u, nil
}

func style(s string) wire.Family {
	switch s {
	case config.StyleAzure:
		return wire.Azure
	case config.StyleAzureV1:
		return wire.AzureV1
	}
	return wire.OpenAI
}

func caller(c config.Caller, classes map[string]*spillway.Class) gateway.Caller {
	out := gateway.Caller{Name: c.Name, Tenant: c.Tenant, Class: classes[c.Class], Access: access(c.Operations, c.Pools)}
	if c.Key != "" {
		out.Keys = append(out.Keys, c.Key.Reveal())
	}
	for _, k := range c.Keys {
		out.Keys = append(out.Keys, k.Reveal())
	}
	return out
}

// access turns the lists of a class or caller into the gateway's.
func access(operations, pools []string) gateway.Access {
	a := gateway.Access{Operations: operations, Pools: pools}
	if slices.Contains(pools, spillway.OperationAll) {
		a.Pools = nil
	}
	return a
}

// providers are the GenAI provider names, by deployment, where they are not
// the default.
func providers(cfg *config.Config) *map[string]string {
	out := map[string]string{}
	for _, d := range cfg.Deployments {
		if d.Style == config.StyleOpenAI {
			out[d.Name] = genai.ProviderOpenAI
		}
	}
	return &out
}
