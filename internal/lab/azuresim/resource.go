package azuresim

import (
	"cmp"
	"net"
	"strings"
)

// Traits are what a deployment has beyond its capacity and speed. The zero value is
// a deployment without any.
type Traits struct {
	// Resource is the Azure resource that holds the deployment; "" takes its region.
	Resource string
	// Spillover is the standard deployment of the same resource and model that
	// answers where this provisioned one refuses.
	Spillover string
	// ServiceTier serves requests that name no tier, or auto; "" is default.
	ServiceTier string
	// PriorityTPM is how many tokens of priority requests a minute may have before a
	// steep rise is served as default; 0 takes 1,000,000.
	PriorityTPM int
	// RejectStream and RejectStreamOptions refuse streams, and stream_options.
	RejectStream, RejectStreamOptions bool
}

// resource is what one endpoint reaches: deployments, and the objects that they
// keep. The one without a name reaches every deployment.
type resource struct {
	name  string
	store store
}

// holds reports whether the resource has the deployment.
func (r *resource) holds(d *deployment) bool { return r.name == "" || r.name == d.resource }

// resourcePath begins paths that address one resource.
const resourcePath = "/resource/"

// address finds the resource that a request addresses, and the path within it. A
// resource is named by the path or by the first label of the host. It returns nil
// for a resource that does not exist.
func (s *Server) address(host, path string) (*resource, string) {
	if rest, ok := strings.CutPrefix(path, resourcePath); ok {
		name, rest, _ := strings.Cut(rest, "/")
		return s.resources[name], "/" + rest
	}
	label, _, _ := strings.Cut(host, ".")
	if name, _, err := net.SplitHostPort(label); err == nil {
		label = name
	}
	if r := s.resources[label]; r != nil && label != "" {
		return r, path
	}
	return s.resources[""], path
}

// addResource makes a deployment's resource known, and returns its name.
func (s *Server) addResource(traits *Traits, region string) string {
	name := cmp.Or(traits.Resource, region)
	if s.resources[name] == nil {
		s.resources[name] = &resource{name: name}
	}
	return name
}
