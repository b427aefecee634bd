package wire

import "github.com/spillway-ai/spillway/internal/jsonwalk"

// serviceTiers is constant: the service tiers that services are known to name.
var serviceTiers = [...]string{
	"default", "auto", "priority", "flex", "scale", "fast", "ultrafast", "standard", "on_demand",
}

// serviceTierOf returns the service tier that a response names, "other" for an unknown
// name, so that there are few. It allocates nothing.
func serviceTierOf(name []byte) string {
	if len(name) == 0 {
		return ""
	}
	for _, tier := range serviceTiers {
		if string(name) == tier {
			return tier
		}
	}
	return "other"
}

// scanServiceTier returns the service tier that a response object names; "" for none.
func scanServiceTier(object []byte) (tier string) {
	c := jsonwalk.Lax(object)
	c.Enter('{')
	for c.More('}') {
		if string(c.Key()) == "service_tier" {
			tier = serviceTierOf(c.Text())
		} else {
			c.Value()
		}
	}
	return tier
}
