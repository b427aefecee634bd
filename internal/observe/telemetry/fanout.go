package telemetry

import spillway "github.com/spillway-ai/spillway"

// Recorder takes the record of a settled request. It must not block, must not
// keep r or its Attempts after returning, and must be safe for concurrent use.
type Recorder interface {
	Record(r *spillway.Record)
}

// Fanout gives every record to each of its members in turn. A nil Fanout
// records nothing. It must not be changed once in use.
type Fanout []Recorder

// Record hands r to every member.
func (f Fanout) Record(r *spillway.Record) {
	for _, to := range f {
		to.Record(r)
	}
}

var (
	_ Recorder = Fanout(nil)
	_ Recorder = (*Writer)(nil)
	_ Recorder = (*Metrics)(nil)
)
