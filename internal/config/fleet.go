package config

import (
	"cmp"
	"fmt"
	"reflect"
	"time"
)

// Fleet is a modeled fleet: the deployments that the Azure emulator serves,
// and what goes wrong with them.
type Fleet struct {
	Deployments []FleetDeployment `yaml:"deployments" required:"true" doc:"Modeled deployments."`
	Models      []Model           `yaml:"models" doc:"Figures of models, in place of the published ones, as in a gateway's configuration."`
	Faults      []FleetFault      `yaml:"faults" doc:"Injected faults and their schedule."`
}

// FleetDeployment is one modeled deployment. Its zero fields take the model's
// and the kind's figures.
type FleetDeployment struct {
	Name                   string        `yaml:"name" required:"true" doc:"Deployment name in paths, or model name in bodies."`
	Model                  string        `yaml:"model" required:"true" doc:"Model that it serves."`
	Kind                   string        `yaml:"kind" default:"standard" enum:"standard|provisioned" doc:"How its capacity is sold."`
	Region                 string        `yaml:"region" doc:"Region, in the header x-ms-region."`
	PTU                    int           `yaml:"ptu" min:"0" max:"1000000" doc:"Provisioned throughput units."`
	MeterDepth             time.Duration `yaml:"meter_depth" min:"1s" doc:"Drain time that equals 100% utilization."`
	TPM                    int           `yaml:"tpm" min:"0" doc:"Tokens per minute; 0 is unlimited."`
	RPM                    int           `yaml:"rpm" min:"0" doc:"Requests per minute; 0 is unlimited."`
	Quota                  string        `yaml:"quota" doc:"Pool of quota that the deployment draws on: standard deployments with the same quota share one TPM and RPM, which each of them states. A quota of its own when empty."`
	Resource               string        `yaml:"resource" doc:"Azure resource of the deployment: the emulator's /resource/NAME reaches its deployments and stored objects alone. The region when empty."`
	Spillover              string        `yaml:"spillover" doc:"Standard deployment of the same resource and model that answers where this provisioned one answers 429, 500, 503, or 400 for a long prompt."`
	ServiceTier            string        `yaml:"service_tier" enum:"default|priority|flex" doc:"Service tier of requests that name none or auto. When set, every response names its tier; else only those to requests that name one do."`
	PriorityTPM            int           `yaml:"priority_tpm" min:"0" doc:"Tokens per minute of priority requests above which a rise of more than half within 15 minutes is served as default; 0 is 1,000,000."`
	Rejects                []string      `yaml:"rejects" enum:"stream|stream_options" doc:"What the deployment refuses: stream with 400, as for a model or organization that may not stream; stream_options with 422, as endpoints with strict schemas do."`
	Reasoning              bool          `yaml:"reasoning" doc:"Reasoning model: uses hidden tokens, and accepts max_completion_tokens. When empty, by the name of the model."`
	CompletionWindow       time.Duration `yaml:"completion_window" min:"1ms" doc:"Time after which a non-streaming request ends in 408."`
	DefaultOutput          int           `yaml:"default_output" min:"0" doc:"Output tokens reserved for a request without a limit."`
	MaxOutput              int           `yaml:"max_output" min:"0" doc:"Largest output limit that the model accepts."`
	OutputMedian           float64       `yaml:"output_median" min:"0" doc:"Median output length in tokens, where the request does not set it."`
	OutputSigma            float64       `yaml:"output_sigma" min:"0" doc:"Log-sigma of the output length."`
	Chunks                 string        `yaml:"chunks" default:"batches" enum:"batches|single" doc:"How streams release text: batches, as Azure's default content filter does, or single tokens, as its asynchronous filter does."`
	ChunkTokens            int           `yaml:"chunk_tokens" min:"0" max:"1000" doc:"Mean number of tokens in a batch; 0 is 20."`
	TBTMean                time.Duration `yaml:"tbt_mean" min:"0s" doc:"Mean time between tokens."`
	TBTSigma               float64       `yaml:"tbt_sigma" min:"0" doc:"Log-sigma of the time between tokens over requests."`
	TTFT                   time.Duration `yaml:"ttft" min:"0s" doc:"Median time to the first token of a short prompt."`
	TTFTSigma              float64       `yaml:"ttft_sigma" min:"0" doc:"Log-sigma of the time to the first token."`
	PrefillTokensPerSecond float64       `yaml:"prefill_tokens_per_second" min:"0" doc:"Speed at which prompts are read."`
}

// FleetFault is one fault of a modeled fleet.
type FleetFault struct {
	Kind        string        `yaml:"kind" required:"true" enum:"status_408|status_429|status_5xx|stall_before_headers|stall_after_headers|reset|slow|cut_stream|malformed_stream|missing_usage|absurd_retry_after" doc:"Type of fault."`
	Deployment  string        `yaml:"deployment" doc:"Only this deployment; all when empty."`
	Region      string        `yaml:"region" doc:"Only this region; all when empty."`
	ServiceTier string        `yaml:"service_tier" enum:"default|priority|flex" doc:"Only requests served with this tier; all when empty."`
	From        time.Duration `yaml:"from" min:"0s" doc:"Start, in simulated time since the beginning."`
	Until       time.Duration `yaml:"until" min:"0s" doc:"End, in simulated time since the beginning; 0 is never."`
	Probability float64       `yaml:"probability" min:"0" max:"1" doc:"Share of requests affected; 0 is all."`
	Status      int           `yaml:"status" min:"0" max:"599" doc:"Status of status_5xx."`
	After       time.Duration `yaml:"after" min:"0s" doc:"Delay before a status, or duration of a stall."`
	AtToken     int           `yaml:"at_token" min:"0" doc:"Token at which a stream stalls, breaks or becomes malformed."`
	Factor      float64       `yaml:"factor" min:"0" doc:"Slowdown factor of slow."`
	RetryAfter  time.Duration `yaml:"retry_after" min:"0s" doc:"retry-after of a refusal."`
}

// LoadFleet reads the fleet file at path, like Load.
func LoadFleet(path string, env func(string) (string, bool), readFile func(string) ([]byte, error)) (*Fleet, error) {
	data, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the fleet: %w", err)
	}
	d := newDecoder(env, readFile)
	f := &Fleet{}
	if root, ok := d.parse(data); ok {
		fillDefaults(reflect.ValueOf(f).Elem())
		d.structure(root, reflect.ValueOf(f).Elem(), "")
		d.deriveFleet(f)
		d.validateFleet(f)
	}
	if err := d.err(path); err != nil {
		return nil, err
	}
	return f, nil
}

// validateFleetLinks checks what deployments say of each other.
func (d *decoder) validateFleetLinks(f *Fleet) {
	quotas, byName := map[string]*FleetDeployment{}, map[string]*FleetDeployment{}
	for i := range f.Deployments {
		byName[f.Deployments[i].Name] = &f.Deployments[i]
	}
	for i := range f.Deployments {
		x, at := &f.Deployments[i], fmt.Sprintf("deployments[%d]", i)
		if x.Quota != "" {
			first := quotas[x.Quota]
			switch {
			case x.Kind == "provisioned":
				d.addAt(at+".quota", "a provisioned deployment has no quota", "remove it")
			case first == nil:
				quotas[x.Quota] = x
			case first.TPM != x.TPM || first.RPM != x.RPM:
				d.addAt(at+".quota", fmt.Sprintf("tpm or rpm differs from that of %q, with the same quota", first.Name), "write the same numbers")
			}
		}
		if x.Spillover == "" {
			continue
		}
		to := byName[x.Spillover]
		switch {
		case x.Kind != "provisioned":
			d.addAt(at+".spillover", "only a provisioned deployment spills over", "remove it")
		case to == nil:
			d.addAt(at+".spillover", fmt.Sprintf("no deployment named %q", x.Spillover), "")
		case to.Kind == "provisioned" || to.Model != x.Model || resourceOf(to) != resourceOf(x):
			d.addAt(at+".spillover", fmt.Sprintf("%q is not a standard deployment of the same model and resource", x.Spillover), "give both the same resource and model")
		}
	}
}

// deriveFleet fills in what depends on other options.
func (d *decoder) deriveFleet(f *Fleet) {
	d.deriveModels(f.Models)
	table := f.ModelTable()
	for i := range f.Deployments {
		if !d.given(fmt.Sprintf("deployments[%d].reasoning", i)) {
			f.Deployments[i].Reasoning = table.Reasons(f.Deployments[i].Model)
		}
	}
}

// resourceOf is the resource of a modeled deployment.
func resourceOf(d *FleetDeployment) string { return cmp.Or(d.Resource, d.Region) }

// validateFleet checks what no single option shows.
func (d *decoder) validateFleet(f *Fleet) {
	d.models(f.Models)
	known := map[string]bool{}
	for i, x := range f.Deployments {
		at := fmt.Sprintf("deployments[%d]", i)
		if x.Name != "" && known[x.Name] {
			d.addAt(at+".name", fmt.Sprintf("%q is the name of two deployments", x.Name), "rename one")
		}
		known[x.Name] = true
		if x.Kind == "provisioned" && x.PTU == 0 {
			d.addAt(at+".kind", "a provisioned deployment needs ptu", "add ptu, such as 50")
		}
		if x.Chunks == "single" && x.ChunkTokens > 1 {
			d.addAt(at+".chunk_tokens", "chunks is single, which is one token per chunk", "remove chunk_tokens, or set chunks: batches")
		}
	}
	d.validateFleetLinks(f)
	for i, x := range f.Faults {
		if x.Deployment != "" && !known[x.Deployment] {
			d.addAt(fmt.Sprintf("faults[%d].deployment", i), fmt.Sprintf("no deployment named %q", x.Deployment), "")
		}
		if x.Status != 0 && x.Status < 500 {
			d.addAt(fmt.Sprintf("faults[%d].status", i), "is not a server error", "use 500 to 599")
		}
		if x.Until > 0 && x.Until <= x.From {
			d.addAt(fmt.Sprintf("faults[%d].until", i), "is not after from", "remove it for no end")
		}
	}
}
