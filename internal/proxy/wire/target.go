package wire

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/defaults"
)

// The api-versions of Azure's classic paths.
const (
	// DefaultAPIVersion is the widely used stable one. It knows stream_options.
	DefaultAPIVersion = defaults.APIVersion
	// ResponsesAPIVersion is the first with Responses.
	ResponsesAPIVersion = "2025-03-01-preview"

	// reasoningAPIVersion is the first that reasoning models accept.
	reasoningAPIVersion = defaults.ReasoningAPIVersion

	// usageSince is the date of the first version that takes stream_options.
	usageSince = "2024-09-01"

	apiVersion = "api-version"
)

// Target is where a deployment is served. Make it with ParseTarget; the zero
// Target is nowhere. It is immutable.
type Target struct {
	Style      Family
	Base       string // scheme and host, "https://name.openai.azure.com"
	Prefix     string // escaped path before the operation: "/openai", "/openai/v1", "/v1"
	Deployment string // Azure's name of it; elsewhere the model to name, "" keeps the client's
	APIVersion string // of Azure; "" takes the client's, or DefaultAPIVersion
	Reasoning  bool   // the model is a reasoning model
}

// ParseTarget checks an endpoint. It takes what each service shows its users:
// a bare host, or with "/openai", "/openai/v1" or "/v1" at the end. A path
// before that is kept, for gateways in front. For the style OpenAI a path that
// is not empty is the whole prefix.
func ParseTarget(style Family, endpoint, deployment, version string) (Target, error) {
	u, err := url.Parse(endpoint)
	if err != nil {
		return Target{}, fmt.Errorf("endpoint: %w", err)
	}
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return Target{}, fmt.Errorf("endpoint %q must start with https:// or http://", endpoint)
	case u.Hostname() == "":
		return Target{}, fmt.Errorf("endpoint %q names no host", endpoint)
	case u.User != nil:
		return Target{}, errors.New("endpoint must not hold credentials")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return Target{}, fmt.Errorf("endpoint %q must not have a query or fragment", endpoint)
	}
	t := Target{Style: style, Base: u.Scheme + "://" + u.Host, Deployment: deployment, APIVersion: version}
	prefix := strings.TrimRight(u.EscapedPath(), "/")
	switch style {
	case Azure:
		if strings.HasSuffix(prefix, "/openai/v1") {
			return Target{}, fmt.Errorf("endpoint %q is of style %s", endpoint, AzureV1)
		}
		if deployment == "" {
			return Target{}, errors.New("deployment is missing: a path of style azure names it")
		}
		prefix = strings.TrimSuffix(prefix, "/models") // of Foundry's model inference
		prefix = strings.TrimSuffix(prefix, "/openai") + "/openai"
	case AzureV1:
		prefix = strings.TrimSuffix(prefix, "/models")
		prefix = strings.TrimSuffix(prefix, "/openai/v1")
		prefix = strings.TrimSuffix(prefix, "/openai") + "/openai/v1"
	default:
		if prefix == "" {
			prefix = "/v1"
		}
	}
	t.Prefix = prefix
	return t, nil
}

// URL returns the escaped path and the raw query at the target for what a
// client asked as p with rawQuery. Parameters other than api-version and
// credentials survive byte for byte.
func (t Target) URL(p Path, rawQuery string) (path, query string) {
	query = withoutOwnParams(rawQuery)
	if t.Style == Azure && onlyV1(p.Operation) {
		return t.Prefix + "/v1/" + p.Operation, query
	}
	version := t.version(p)
	if version != "" {
		version = apiVersion + "=" + url.QueryEscape(version)
		if query != "" {
			version += "&"
		}
		query = version + query
	}
	if t.Style == Azure && isDeploymentOperation(p.Operation) {
		return t.Prefix + "/deployments/" + url.PathEscape(t.Deployment) + "/" + p.Operation, query
	}
	return t.Prefix + "/" + p.Operation, query
}

// ModelInBody reports whether the body of a request for p must name
// Deployment as its model, because the path does not.
func (t Target) ModelInBody(p Path) bool {
	return t.Deployment != "" && (t.Style != Azure || !isDeploymentOperation(p.Operation))
}

// version picks the api-version: the target's own, else the client's, raised
// to one that knows what we send. What the model or the client's members need does not
// raise the target's own.
func (t Target) version(p Path) string {
	if t.Style != Azure {
		if t.Style == AzureV1 && p.Family == AzureV1 {
			return p.APIVersion // such as "preview"
		}
		return ""
	}
	version, floor, safe := t.APIVersion, "", DefaultAPIVersion
	if version == "" && p.Family == Azure {
		version = p.APIVersion
	}
	switch {
	case strings.HasPrefix(p.Operation, "responses"):
		floor, safe = ResponsesAPIVersion, ResponsesAPIVersion
	case p.API == spillway.APIChat || p.API == spillway.APICompletions:
		floor = usageSince
	}
	if p.API == spillway.APIChat && t.APIVersion == "" {
		floor = max(floor, p.Since)
		if t.Reasoning {
			floor = max(floor, reasoningAPIVersion)
		}
		safe = max(safe, floor)
	}
	if !isDated(version) || version < floor[:min(len(floor), len(usageSince))] {
		return safe
	}
	return version
}

// isDated reports whether an api-version is a date, with or without a suffix such as
// -preview. Only such versions can be compared.
func isDated(version string) bool {
	const form = "0000-00-00"
	if len(version) < len(form) || len(version) > len(form) && version[len(form)] != '-' {
		return false
	}
	for i := range len(form) {
		if c := version[i]; form[i] == '-' && c != '-' || form[i] == '0' && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// isDeploymentOperation reports whether Azure's classic path of an operation names a
// deployment.
func isDeploymentOperation(operation string) bool {
	first, _, _ := strings.Cut(operation, "/")
	switch first {
	case "chat", "completions", "embeddings", "images", "audio":
		return true
	}
	return false
}

// TakesModel reports whether the body of a request for p has a model. The bodies of
// files, batches and other objects have none.
func (p Path) TakesModel() bool {
	return p.API != spillway.APIOther || isDeploymentOperation(p.Operation) || p.Operation == compact || p.Operation == inputTokens
}

// withoutOwnParams removes from a raw query what is ours to set: the api-version, and
// credentials.
func withoutOwnParams(query string) string {
	if query == "" {
		return ""
	}
	kept := make([]string, 0, 4)
	for part := range strings.SplitSeq(query, "&") {
		if !isParam(part, apiVersion) && !isParam(part, "api-key") && !isParam(part, "subscription-key") {
			kept = append(kept, part)
		}
	}
	return strings.Join(kept, "&")
}
