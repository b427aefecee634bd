package azuresim

import (
	"net/http"
	"strconv"
)

// models lists the deployments as models, or describes one.
func (x *exchange) models(id string) {
	if id != "" {
		d := x.s.find(id, true)
		if d == nil {
			writeBody(x.w, http.StatusNotFound, []byte(bodyNoDeployment))
			return
		}
		writeBody(x.w, http.StatusOK, x.s.appendModel(nil, id))
		return
	}
	b := []byte(`{"object":"list","data":[`)
	for i, name := range x.s.names {
		if i > 0 {
			b = append(b, ',')
		}
		b = x.s.appendModel(b, name)
	}
	writeBody(x.w, http.StatusOK, append(b, `]}`...))
}

func (s *Server) appendModel(b []byte, id string) []byte {
	b = append(b, `{"id":`...)
	b = appendQuoted(b, id)
	b = append(b, `,"object":"model","created":`...)
	b = strconv.AppendInt(b, s.clock.start.Unix(), 10)
	return append(b, `,"owned_by":"azuresim"}`...)
}
