package config

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// OTLP is the collector that traces, metrics and logs go to.
type OTLP struct {
	Endpoint    string        `yaml:"endpoint" doc:"Base URL of the collector, such as https://collector:4317; http:// is unencrypted. When empty, nothing is sent."`
	Protocol    string        `yaml:"protocol" enum:"grpc|http" doc:"OTLP over gRPC, usually on port 4317, or as protobuf over HTTP, usually on port 4318. HTTP adds /v1/traces, /v1/metrics and /v1/logs to the endpoint's path."`
	Headers     []Header      `yaml:"headers" doc:"Headers of every message, such as an API key."`
	TLS         *UpstreamTLS  `yaml:"tls" doc:"Verification of the collector's certificate."`
	Compression string        `yaml:"compression" default:"gzip" enum:"gzip|none" doc:"Compression of messages."`
	Traces      bool          `yaml:"traces" default:"true" doc:"Send a trace of each request: one span for the request and one for each attempt."`
	Metrics     bool          `yaml:"metrics" default:"true" doc:"Send the metrics of /metrics."`
	Logs        bool          `yaml:"logs" default:"true" doc:"Send the record of each request as an event."`
	SampleRatio float64       `yaml:"sample_ratio" default:"1" min:"0" max:"1" doc:"Share of traces to keep of requests answered completely by the first attempt; others are always kept. The sampling decision in a client's trace context takes precedence."`
	Attributes  []Attribute   `yaml:"attributes" doc:"Resource attributes, such as deployment.environment.name. They take precedence over OTEL_RESOURCE_ATTRIBUTES."`
	Timeout     time.Duration `yaml:"timeout" min:"1ms" doc:"Timeout of one try to send a message; tries repeat for a minute."`
	Interval    time.Duration `yaml:"interval" min:"1s" doc:"How often metrics are sent."`
	Queue       int           `yaml:"queue" min:"1" max:"1000000" doc:"Maximum records that wait for the collector; further ones are dropped and counted."`
}

// Header is one header of a message.
type Header struct {
	Name  string `yaml:"name" required:"true" doc:"Name."`
	Value Secret `yaml:"value" doc:"Value."`
}

// Attribute is a name and its value.
type Attribute struct {
	Name  string `yaml:"name" required:"true" doc:"Name."`
	Value string `yaml:"value" doc:"Value."`
}

// headerPattern is what a header may be named. It is constant.
var headerPattern = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)

// otlp checks what no option of the section can tell alone.
func (d *decoder) otlp(o *OTLP) {
	for i, h := range o.Headers {
		path := fmt.Sprintf("otlp.headers[%d]", i)
		if h.Name != "" && !headerPattern.MatchString(h.Name) {
			d.addAt(path+".name", d.shown(path+".name", h.Name)+" is not a valid header name", "use letters, digits, - and _")
		}
		if strings.ContainsFunc(h.Value.Reveal(), func(c rune) bool { return c < ' ' || c > '~' }) {
			d.addAt(path+".value", "contains characters that a header cannot contain", "use printable ASCII")
		}
	}
	d.unique("otlp.attributes", len(o.Attributes), func(i int) string { return o.Attributes[i].Name })
	if o.TLS != nil {
		d.authorities(o.TLS, "otlp.tls.ca_file")
	}
	if o.Endpoint == "" {
		return
	}
	const path = "otlp.endpoint"
	u, err := url.Parse(o.Endpoint)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		d.hide(d.placeOf(path), o.Endpoint)
		d.addAt(path, "is not a URL", "write http:// or https://, the host and the port, such as http://collector:4317")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		d.hide(d.placeOf(path), o.Endpoint)
		d.addAt(path, "contains more than a host, a port and a path", "put credentials into headers")
	case o.Protocol == "grpc" && u.Port() == "":
		d.addAt(path, "has no port", "the usual port of OTLP over gRPC is 4317")
	case o.Protocol == "grpc" && strings.Trim(u.Path, "/") != "":
		d.addAt(path, "has a path, which gRPC does not use", "remove it, or write protocol: http")
	case o.Protocol == "http" && slices.ContainsFunc([]string{"/v1/traces", "/v1/metrics", "/v1/logs"}, func(s string) bool { return strings.HasSuffix(u.Path, s) }):
		d.addAt(path, "contains a path that is added for each signal", "end it before /v1")
	}
	if !o.Traces && !o.Metrics && !o.Logs {
		d.addAt("otlp", "sends nothing", "set one of traces, metrics, logs to true, or remove the endpoint")
	}
}
