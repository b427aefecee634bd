package gateway

import (
	"net/http"
	"strings"

	spillway "github.com/spillway-ai/spillway"
	"github.com/spillway-ai/spillway/internal/proxy/wire"
)

// serveModels serves the list of models and single models, of the pools that the
// caller may use. It reports false for any other path.
func (f *flight) serveModels(access *permissions) bool {
	id, single := strings.CutPrefix(f.call.Path.Operation, "models/")
	if f.call.Path.Deployment != "" || f.r.Method != http.MethodGet || !single && f.call.Path.Operation != "models" {
		return false
	}
	var body []byte
	switch {
	case !single:
		list := make([]wire.Model, 0, len(f.snap.models))
		for _, name := range f.snap.models {
			if access.usable(f.snap.byModel[name]) == nil {
				continue
			}
			list = append(list, wire.Model{ID: name, Created: modelsSince})
		}
		body = wire.AppendModels(nil, f.call.Path.Family, list)
	case access.usable(f.snap.byModel[id]) == nil:
		f.reject(new(wire.UnknownModel(f.call.Path.Family, id)))
		return true
	default:
		body = wire.AppendModel(nil, f.call.Path.Family, wire.Model{ID: id, Created: modelsSince})
	}
	f.out.Set(wire.HeaderContentType, "application/json")
	f.out.Set(wire.HeaderRequestID, f.call.ID)
	f.setRequestIDs()
	f.out.SkipBody()
	f.writeWhole(http.StatusOK, body)
	f.record(spillway.OutcomeOK, http.StatusOK, spillway.RefusalNone)
	return true
}

// modelsSince is when every model was made, in Unix seconds, as far as we say.
const modelsSince = 1735689600
