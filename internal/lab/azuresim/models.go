package azuresim

import (
	"net/http"
	"strconv"
)

// listModels lists the deployments as models.
func (x *exchange) listModels([]byte) error {
	b := []byte(`{"object":"list","data":[`)
	first := true
	for _, name := range x.s.names {
		if !x.res.holds(x.s.deployments[name]) {
			continue
		}
		if !first {
			b = append(b, ',')
		}
		first = false
		b = x.s.appendModel(b, name)
	}
	x.write(append(b, `]}`...))
	return nil
}

// getModel describes one deployment, or model, as a model.
func (x *exchange) getModel([]byte) error {
	if x.find(x.id, true) == nil {
		return &refusal{http.StatusNotFound, bodyNoDeployment}
	}
	x.write(x.s.appendModel(nil, x.id))
	return nil
}

func (s *Server) appendModel(b []byte, id string) []byte {
	b = append(b, `{"id":`...)
	b = appendQuoted(b, id)
	b = append(b, `,"object":"model","created":`...)
	b = strconv.AppendInt(b, s.clock.start.Unix(), 10)
	return append(b, `,"owned_by":"azuresim"}`...)
}
